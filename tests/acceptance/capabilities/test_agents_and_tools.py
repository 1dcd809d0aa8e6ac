"""Agents and tools: each test is a capability that the project promises by this name."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Self

import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from holdfast import Agent, RunStatus, ToolContext, ToolError, UsageError, tool
from holdfast.client.holdfast import Holdfast
from holdfast.testing import AgentServer, Called, ModelServer, Reply
from tests.support.cli import ROOT


class Item(BaseModel):
    """An article."""

    name: str


async def test_run_query_max_iterations_returns_success_content_metadata(
    model: ModelServer, serve: AgentServer
) -> None:
    """`await agent.run(query, max_iterations=…)` returns `success`, `content` and `metadata`."""
    serve()

    @tool(read_only=True)
    async def look() -> str:
        """Looks."""
        return "nothing"

    agent = Agent(name="clerk", system_prompt="You count.", tools=[look])
    model.say("Twelve.")
    result = await agent.run("How many?", max_iterations=10)
    assert (result.success, result.content, result.error) == (True, "Twelve.", None)
    assert (result.metadata["agent"], result.metadata["turns"]) == ("clerk", 1)
    assert result.usage.total_tokens > 0
    model.call_tools(look={})
    failed = await agent.run("How many?", max_iterations=1)
    assert not failed.success
    assert "1 turn" in (failed.error or "")


@pytest.mark.parametrize("kind", [AsyncOpenAI, OpenAI])
async def test_an_agent_has_a_client_of_its_own(
    model: ModelServer, serve: AgentServer, kind: type[AsyncOpenAI | OpenAI]
) -> None:
    """`client=AsyncOpenAI(...)` and `client=OpenAI(...)` make the agent's model calls, with their own settings."""
    serve()
    client = kind(api_key="its own", base_url=model.url, default_headers={"x-shop": "ropes"})
    model.say("Twelve.")
    result = await Agent(name="clerk", model="shop-large", client=client).run("How many?")
    assert result.content == "Twelve."
    [request] = model.requests
    assert (request.headers["x-shop"], request.body["model"]) == ("ropes", "shop-large")
    if isinstance(client, AsyncOpenAI):
        await client.close()
    else:
        client.close()


class Clerk(Agent):
    """Looks after a stock."""

    name = "clerk"
    entered: int = 0

    async def __aenter__(self) -> Self:
        self.entered += 1
        self.pool = {"rope": 12}
        return self

    async def __aexit__(self, *error: object) -> None:
        self.pool.clear()

    @tool(read_only=True)
    def stock(self, article: str, unit: str = "pieces") -> str:
        """Returns the stock.

        Args:
            article: what is looked up.
            unit: of the figure.
        """
        return f"{self.pool.get(article, 0)} {unit}"

    @tool(idempotent=True)
    async def order(self, article: str) -> str:
        """Orders an article."""
        return f"ordered {article}"


async def test_sync_and_async_methods_are_registered_as_tools(
    model: ModelServer, serve: AgentServer, called: Called
) -> None:
    """The model sees the schema that signature and docstring say, and both kinds are called."""
    serve()
    model.call_tools(stock={"article": "rope"}, order={"article": "tar"})
    model.say("Done.")
    assert (await Clerk().run("Look and order.")).success
    tools = {each["function"]["name"]: each["function"] for each in model.requests[0].body["tools"]}
    assert tools["stock"]["description"] == "Returns the stock."
    schema = tools["stock"]["parameters"]
    assert schema["required"] == ["article"]
    assert schema["properties"]["article"] == {"type": "string", "description": "what is looked up."}
    assert schema["properties"]["unit"]["default"] == "pieces"
    assert called("stock")[0].result == "12 pieces"
    assert called("order")[0].result == "ordered tar"


async def test_the_tool_calls_of_a_turn_run_concurrently(
    model: ModelServer, serve: AgentServer, called: Called
) -> None:
    """Three calls meet each other, which they could not one after the other."""
    serve()
    meeting = asyncio.Barrier(3)

    @tool(read_only=True)
    async def meet(name: str) -> str:
        """Waits for the two others."""
        await meeting.wait()
        return f"met {name}"

    model.call_tools(*(("meet", {"name": name}) for name in "abc"))
    model.say("Done.")
    assert (await Agent(name="host", tools=[meet]).run("Meet.")).success
    assert sorted(str(call.result) for call in called("meet")) == ["met a", "met b", "met c"]


async def test_execute_tool_returns_content_and_error(serve: AgentServer) -> None:
    """Tools are called without a model, several at once; a failure is an `error`, not an exception."""

    @tool(read_only=True)
    async def price(article: str) -> float:
        """Returns a price."""
        if article != "rope":
            raise ToolError(f"no {article} here")
        return 2.5

    serve()
    shop = Agent(name="shop", tools=[price])
    good, bad = await asyncio.gather(*(shop.execute_tool("price", article=name) for name in ("rope", "tar")))
    assert (good.content, good.error) == (2.5, None)
    assert (bad.content, bad.error) == (None, "no tar here")


async def test_return_types_come_back_typed(serve: AgentServer) -> None:
    """Text, a dict, a list, a model and a list of models are returned as they were."""

    @tool(read_only=True)
    def text() -> str:
        """Text."""
        return "rope"

    @tool(read_only=True)
    def facts() -> dict[str, int]:
        """A dict."""
        return {"rope": 12}

    @tool(read_only=True)
    def names() -> list[str]:
        """A list."""
        return ["rope"]

    @tool(read_only=True)
    def item() -> Item:
        """A model."""
        return Item(name="rope")

    @tool(read_only=True)
    def items() -> list[Item]:
        """Models."""
        return [Item(name="rope"), Item(name="tar")]

    serve()
    agent = Agent(name="typed", tools=[text, facts, names, item, items])
    found = await asyncio.gather(*(agent.execute_tool(each.spec.name) for each in agent.tools))
    assert [each.content for each in found] == [
        "rope",
        {"rope": 12},
        ["rope"],
        Item(name="rope"),
        [Item(name="rope"), Item(name="tar")],
    ]


async def test_an_agent_asks_another_one(model: ModelServer, serve: AgentServer, called: Called) -> None:
    """The model of one agent has a tool that asks the other, which is a run of its own."""
    serve()
    expert = Agent(name="expert", system_prompt="You know ropes.")
    host = Agent(name="host", agents=[expert])
    model.call_tools(ask_expert={"input": "How strong is a rope?"})
    model.say("Strong.")
    model.say("The expert says: strong.")
    result = await host.run("Ask the expert.")
    assert result.content == "The expert says: strong."
    assert called(result, "ask_expert")[0].result == "Strong."
    assert [child.agent for child in result.run.children] == ["expert"]


async def test_agents_call_others_from_code(model: ModelServer, serve: AgentServer) -> None:
    """`await agent.call_agent(other, query)`, several by `asyncio.gather`; in a tool, the call is a child run."""
    expert = Agent(name="expert", system_prompt="You know ropes.")

    @tool(idempotent=True)
    async def consult(context: ToolContext) -> str:
        """Asks the expert."""
        return (await context.call_agent(expert, "How strong is a rope?")).content

    host = Agent(name="host", tools=[consult])
    serve()
    model.reply(Reply("Strong."), Reply("Strong."))
    answers = await asyncio.gather(*(host.call_agent(expert, f"How strong is rope {number}?") for number in (1, 2)))
    assert [answer.content for answer in answers] == ["Strong.", "Strong."]
    model.call_tools(consult={})
    model.say("Strong.")
    model.say("The expert says: strong.")
    result = await host.run("Consult the expert.")
    assert result.content == "The expert says: strong."
    assert [child.agent for child in result.run.children] == ["expert"]


async def test_async_with_agent_opens_a_pool_once(model: ModelServer, serve: AgentServer, called: Called) -> None:
    """`__aenter__` runs before the first call, once for all runs of the process, or where the program says so."""
    serve()
    agent = Clerk()
    for _ in range(2):
        model.call_tools(stock={"article": "rope"})
        model.say("Twelve.")
        await agent.run("How many?")
    assert [call.result for call in called("stock")] == ["12 pieces", "12 pieces"]
    assert agent.entered == 1
    async with Clerk() as entered:
        assert (await entered.execute_tool("stock", article="rope")).content == "12 pieces"
        assert entered.entered == 1


async def test_giving_up_waiting_cancels_the_run(model: ModelServer, serve: AgentServer, hf: Holdfast) -> None:
    """A timeout of the caller cancels the run; a limit of the run ends it by itself."""
    serve()
    agent = Agent(name="clerk")
    model.hold()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await agent.run("How many?", id="capability-given-up")
    assert (await hf.handle("capability-given-up").result(60)).status is RunStatus.CANCELLED
    limited = await agent.run("How many?", timeout=1)
    assert (limited.success, limited.status) == (False, RunStatus.TIMED_OUT)
    model.release()


SCRIPT = """
import asyncio
import logging

from holdfast import Agent, tool


@tool(read_only=True)
async def stock(article: str) -> int:
    "Pieces in stock."
    return 12


clerk = Agent(name="clerk", tools=[stock])


async def main():
    logging.basicConfig(level=logging.DEBUG)
    print((await clerk.run("How many ropes?")).content)


asyncio.run(main())
"""


async def run_script(folder: Path) -> tuple[str, str]:
    """Runs a script to its end, and returns what it printed and logged."""
    (folder / "shop.py").write_text(SCRIPT)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "shop.py", cwd=folder, stdout=pipe, stderr=pipe, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    printed, logged = await process.communicate()
    assert process.returncode == 0, logged.decode()
    return printed.decode(), logged.decode()


async def test_scripts_with_asyncio_run_work_as_written(
    model: ModelServer, serve: AgentServer, called: Called, tmp_path: Path
) -> None:
    """A script's agent needs no worker that knows it; a notebook's likewise, see `tests/acceptance/test_notebooks.py`.

    `logging.basicConfig(level=logging.DEBUG)` shows what the agent does.
    """
    serve()
    model.call_tools(stock={"article": "rope"})
    model.say("Twelve.")
    printed, logged = await run_script(tmp_path)
    assert printed == "Twelve.\n"
    assert called("stock")[0].result == "12"
    lines = [line.partition(" (")[0].split(":")[2] for line in logged.splitlines() if ":holdfast" in line]
    assert lines == ["run is started", "tool call begins", "tool call ends", "run has ended"]


async def test_usual_mistakes_are_answered_with_what_to_do() -> None:
    """Words of other libraries, tools that are none, and names that are no names."""
    with pytest.raises(UsageError, match="`instructions` is called `system_prompt` here"):
        Agent(name="clerk", instructions="You sell.")  # type: ignore[call-arg]
    with pytest.raises(UsageError, match="`deps` is called `context` here"):
        await Agent(name="clerk").run("How many?", deps={})  # type: ignore[call-arg]
    with pytest.raises(UsageError, match="only functions and methods can"):
        Agent(name="clerk", tools=[12])
