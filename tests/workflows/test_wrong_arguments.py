"""Arguments of a wrong type: each public function says what it accepts."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from pydantic import BaseModel

import holdfast
from holdfast import Agent, Holdfast, UsageError, tool
from holdfast.client.session import Session
from holdfast.client.starter import request_fields

WRONG = (3, None, object(), b"text", ["a", 3], {"a": 1}, 2.5, True)
"""Values; each function takes some of them."""

SOON = 10.0  # seconds in which a call is refused on a busy machine; one that is accepted may take for ever

Call = Callable[[Any], Any]


@tool(read_only=True)
def look(article: str) -> str:
    """Looks."""
    return article


clerk = Agent(name="clerk", system_prompt="You look.", tools=[look])


def calls_of_agents() -> dict[str, tuple[Call, tuple[Any, ...]]]:
    """Calls that need no server, and the values that they accept."""
    return {
        "Agent": (lambda value: Agent(name=value), ()),
        "Agent.tools": (lambda value: Agent(name="a", tools=value), (None,)),
        "Agent.output_type": (lambda value: Agent(name="a", output_type=value), (None, True, {"a": 1})),
        "Agent.session": (clerk.session, ()),
        "Agent.run": (clerk.run, (3, ["a", 3], {"a": 1}, 2.5, True)),
        "Agent.run.id": (lambda value: clerk.run("Hi.", id=value), (None,)),
        "Agent.execute_task": (lambda value: clerk.execute_task("Hi.", value), ()),
        "Agent.generate": (lambda value: clerk.generate("Hi.", value), (3,)),
        "Agent.call_agent": (lambda value: clerk.call_agent(value, "Hi."), ()),
        "Agent.execute_tool": (lambda value: clerk.execute_tool("look", value), (None, {"a": 1})),
        "Agent.embed": (clerk.embed, ()),
        "Agent.chat": (lambda value: clerk.chat("Hi.", id=value), (None,)),
        "Agent.save_conversation": (clerk.save_conversation, ()),
        "Agent.add_text_memory": (clerk.add_text_memory, ()),
        "TaskAgent": (lambda value: holdfast.TaskAgent(name=value), ()),
        "Persona": (lambda value: holdfast.Persona(name="p", facts=value), (None,)),
        "FrontendDeveloper": (lambda value: holdfast.FrontendDeveloper(sandbox_tool=value), (None,)),
        "MCPServer": (lambda value: holdfast.MCPServer(value, command="x"), ()),
        "PreviewServer": (holdfast.PreviewServer, (None,)),
        "Image": (holdfast.Image, (b"text",)),
        "File": (holdfast.File, (b"text",)),
        "Tool": (tool, (None,)),
        "tool": (tool, (None,)),
        "VectorStore": (holdfast.VectorStore, ()),
        "registry_factory": (holdfast.registry_factory, (None,)),
        "connect": (holdfast.connect, (None,)),
        "run_agents_concurrently": (lambda value: holdfast.run_agents_concurrently(value, "Hi."), ()),
        "get_model_response": (holdfast.get_model_response, ()),
    }


def calls_of_runs(hf: Holdfast, session: Session) -> dict[str, tuple[Call, tuple[Any, ...]]]:
    """Calls of a client, of its handles and its sessions, and the values that they accept."""
    run = hf.handle("a-run")
    json = (3, ["a", 3], {"a": 1}, 2.5, True)
    return {
        "Holdfast.start.agent": (lambda value: hf.start(value, "Hi."), ()),
        "Holdfast.start.input": (lambda value: hf.start("clerk", value), json),
        "Holdfast.start.id": (lambda value: hf.start("clerk", "Hi.", id=value), (None,)),
        "Holdfast.start.workspace": (lambda value: hf.start("clerk", "Hi.", workspace=value), (None,)),
        "Holdfast.start.approve": (lambda value: hf.start("clerk", "Hi.", approve=value), (None,)),
        "Holdfast.start.tags": (lambda value: hf.start("clerk", "Hi.", tags=value), (None,)),
        "Holdfast.start.timeout": (lambda value: hf.start("clerk", "Hi.", timeout=value), (3, None, 2.5, True)),
        "Holdfast.run": (lambda value: hf.run(value, "Hi."), ()),
        "Holdfast.session": (lambda value: hf.session(value, "clerk"), ()),
        "Holdfast.session.agent": (lambda value: hf.session("a", value), ({"a": 1},)),
        "Holdfast.handle": (hf.handle, ()),
        "Holdfast.execute_tool": (lambda value: hf.execute_tool("clerk", value), (b"text",)),
        "Holdfast.execute_tool.arguments": (lambda value: hf.execute_tool("clerk", "look", value), (None, {"a": 1})),
        "Holdfast.execute_tool.id": (lambda value: hf.execute_tool("clerk", "look", id=value), (None,)),
        "Holdfast.execute_tool.timeout": (
            lambda value: hf.execute_tool("clerk", "look", timeout=value),
            (3, None, 2.5),
        ),
        "Holdfast.execute_tool.workspace": (lambda value: hf.execute_tool("clerk", "look", workspace=value), (None,)),
        "Holdfast.emit": (hf.emit, (b"text",)),
        "Holdfast.embed": (hf.embed, ()),
        "Holdfast.list.status": (lambda value: hf.list(status=value), (None,)),
        "Holdfast.list.agent": (lambda value: hf.list(agent=value), (None,)),
        "Holdfast.list.root": (lambda value: hf.list(root=value), (None,)),
        "Holdfast.list.stage": (lambda value: hf.list(stage=value), (None,)),
        "Holdfast.list.where": (lambda value: hf.list(where=value), (None,)),
        "Holdfast.list.tags": (lambda value: hf.list(tags=value), (None, {"a": 1})),
        "Holdfast.list.limit": (lambda value: hf.list(limit=value), (3,)),
        "RunHandle.send": (run.send, json),
        "RunHandle.result": (run.result, (3, None, 2.5)),
        "RunHandle.entries": (run.entries, (3,)),
        "RunHandle.transcript": (run.transcript, (3,)),
        "RunHandle.events": (run.events, (3,)),
        "RunHandle.attachment": (run.attachment, (3,)),
        "RunHandle.effects_since": (run.effects_since, ()),
        "RunHandle.restore": (run.restore, (b"text",)),
        "RunHandle.diff": (run.diff, ()),
        "RunHandle.terminate": (run.terminate, ()),
        "RunHandle.approve": (run.approve, (b"text",)),
        "RunHandle.approve.always": (lambda value: run.approve("1", always=value), (None, True)),
        "RunHandle.answer": (lambda value: run.answer(None, value), json),
        "Session.send": (session.send, json),
        "Session.ask": (session.ask, json),
        "Session.answer": (session.answer, ()),
        "Session.stream": (session.stream, ()),
    }


async def completed(returned: Any) -> None:
    """Takes what a call returns, up to its first value."""
    if isinstance(returned, AbstractAsyncContextManager):
        async with returned:
            return
    if isinstance(returned, AsyncIterator):
        await anext(returned, None)
    elif inspect.isawaitable(returned):
        await returned


async def fault_of(name: str, call: Call, value: Any) -> str | None:
    """Returns what is wrong with how a call refuses a value; `None` if it raises UsageError."""
    try:
        async with asyncio.timeout(SOON):
            await completed(call(value))
    except UsageError as error:
        return None if str(error).strip() else f"{name}({value!r}) does not say why"
    except Exception as error:  # noqa: BLE001 - whatever it is, it is reported
        return f"{name}({value!r}) raises {error!r:.200}"
    return f"{name}({value!r}) is accepted"


async def test_each_public_function_says_what_it_accepts(hf: Holdfast) -> None:
    """A value of a wrong type raises UsageError, with words, and before anything else is done."""
    table = calls_of_agents() | calls_of_runs(hf, hf.session("a-session", clerk))
    faults = [
        await fault_of(name, call, value)
        for name, (call, accepted) in table.items()
        for value in WRONG
        if not any(type(value) is type(each) and value == each for each in accepted)
    ]
    assert not (found := "\n".join(fault for fault in faults if fault)), found
    assert {name for name in holdfast.__all__ if takes_arguments(name)} <= {name.partition(".")[0] for name in table}


def test_a_text_is_one_name() -> None:
    """`approve="order"` means that tool, not its letters."""
    assert request_fields("clerk", "order")["approve"] == ["order"]
    assert request_fields("clerk", ["order", "pay"])["approve"] == ["order", "pay"]


UNCHECKED = {
    "run_blocking",  # raises TypeError, which its documentation says
    "event_bus",
    "get_surrealdb_client",  # without arguments
    "RunContext",
    "TaskContext",
    "ToolContext",  # Holdfast creates them
}


def takes_arguments(name: str) -> bool:
    """Whether a public name is a function, or a class that users construct with more than data."""
    found = getattr(holdfast, name)
    if inspect.isclass(found):
        data = (BaseException, BaseModel, enum.Enum, holdfast.BaseRegistry, holdfast.RunHandle)
        is_data = issubclass(found, data) or dataclasses.is_dataclass(found) or inspect.isabstract(found)
        return name not in UNCHECKED and not is_data and not getattr(found, "_is_protocol", False)
    return inspect.isfunction(found) and name not in UNCHECKED
