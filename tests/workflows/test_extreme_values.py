"""Extreme values at the boundaries of a run: every run ends, and says which value is out of bounds."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Iterable
from typing import Any

import pytest
from temporalio import activity
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.common import RawValue
from temporalio.worker import Worker

from holdfast import Agent, RunStatus, UsageError, tool
from holdfast.bounds import MAX_SECONDS
from holdfast.scripted.chat import ChatRequest
from holdfast.testing import ChatToolCall, Reply
from holdfast.types import AgentSpec, ToolResult, Usage
from tests.support.lab import Lab
from tests.support.tiers import scaled

PATIENCE = 2.0  # seconds until a run is asked what it waits for
TIMEOUT = 60.0  # seconds for all runs together; a poisoned one never ends
NUMBERS: list[Any] = [
    -1,
    MAX_SECONDS,
    1e-300,
    253e9,
    9e18,
    10**30,
    *scaled([], [0, 0.5, 1e308, -(10**30), 2**63, 2**64 - 1]),
]
TEXTS = [
    "",
    "名" * 342,
    "x" * 5_000,
    "a\0b",
    "/_sys/x",
    *scaled([], [" ", "x" * 342, "😀" * 2_000, "tool.\n", "../.."]),
]
OTHERS: list[Any] = [None, [], *scaled([], [True, {}, "7", [[]]])]
VALUES = [*NUMBERS, *TEXTS, *OTHERS]


@tool(read_only=True)
async def look(word: str) -> str:
    """Looks."""
    return f"saw {word}"


@tool
async def report(kind: str) -> ToolResult:
    """Returns a result whose fields are out of bounds."""
    odd: Any = {"seconds": float("nan"), "files": ["x" * 3_000] * 50, "attempts": 10**40}
    return ToolResult.model_construct(content=kind, error=None, **odd)


known = Agent(name="known", tools=[look, report])


def spec(**fields: Any) -> dict[str, Any]:
    """A definition, as it is written by hand."""
    return {"name": "a", "tools": [{"name": "look", "activity": "tool.look"}], **fields}


def requests() -> Iterable[tuple[str, dict[str, Any]]]:
    """Starts of a run from Temporal's CLI, each with one field that may be out of bounds."""
    for field in ("agent", "input", "timeout", "max_turns", "model", "workspace", "parent", "tags", "client_version"):
        for value in VALUES:
            yield f"{field}={value!r:.40}", {"agent": "known", "input": "x", field: value}
    for field in ("name", "timeout", "max_turns", "model", "model_settings", "tools", "system_prompt", "version"):
        for value in VALUES:
            yield f"agent.{field}={value!r:.40}", {"agent": spec(**{field: value}), "input": "x"}
    for field in ("name", "activity", "timeout", "retries", "parameters", "description"):
        for value in VALUES:
            one = {"name": "look", "activity": "tool.look", "read_only": True, field: value}
            yield f"tool.{field}={value!r:.40}", {"agent": spec(tools=[one]), "input": "x"}
    yield "large definition", {"agent": spec(system_prompt="x" * 1_900_000), "input": "x"}


def raw(text: str) -> RawValue:
    """A payload that no JSON writer of Python makes."""
    return RawValue(Payload(metadata={"encoding": b"json/plain"}, data=text.encode()))


RAW = [
    '{"agent": "known", "input": "x", "timeout": 1e999}',
    '{"agent": "known", "input": "x", "timeout": NaN}',
    '{"agent": {"name": "a", "model_settings": {"top_p": NaN}}, "input": "x"}',
    '{"agent": {"name": "a", "model_settings": {"n": ' + "9" * 5_000 + "}}, " + '"input": "x"}',
    '{"agent": "\\ud800", "input": "x"}',
    '{"agent": {"name": "a", "model_settings": {"a": ' + "[" * 150 + "]" * 150 + '}}, "input": "x"}',
    "[" * 100_000,
]


async def start(lab: Lab, argument: Any, workflow: str = "AgentRun", run_id: str = "") -> WorkflowHandle[Any, Any]:
    """Starts a workflow as Temporal's CLI does."""
    return await lab.client.start_workflow(
        workflow, argument, id=run_id or f"extreme-{uuid.uuid4()}", task_queue=lab.settings.temporal_task_queue
    )


async def failures(lab: Lab, started: dict[str, WorkflowHandle[Any, Any]]) -> dict[str, str]:
    """Waits until each has ended or says what it waits for; returns why it failed, or what it waits for, or ""."""

    async def end(handle: WorkflowHandle[Any, Any]) -> str:
        ended = asyncio.create_task(handle.result())
        while not (await asyncio.wait([ended], timeout=PATIENCE))[0]:
            doing = (await lab.holdfast.handle(handle.id).status()).doing
            if doing.startswith("waiting for a worker that serves"):
                ended.cancel()
                await handle.terminate("it says what it waits for")
                return doing
        try:
            await ended
        except WorkflowFailureError as error:
            return str(error.cause)
        return ""

    waiting = {name: asyncio.create_task(end(handle)) for name, handle in started.items()}
    await asyncio.wait(waiting.values(), timeout=TIMEOUT)
    hanging = [name for name, task in waiting.items() if not task.done()]
    for name in hanging:
        waiting[name].cancel()
        await started[name].terminate("the test found that it does not end")
    assert not hanging, hanging
    return {name: task.result() for name, task in waiting.items()}


async def test_any_start_ends_in_good_order(lab: Lab) -> None:
    """A start with any value in any field completes, or fails with the field and the reason."""
    async with lab.worker(known, max_cached_workflows=1000):
        started = {name: await start(lab, request) for name, request in requests()}
        started |= {text[:60]: await start(lab, raw(text)) for text in RAW}
        outcomes = await failures(lab, started)
    assert "Terminated" not in str(outcomes), "the server refused a command"
    assert "at most 2,000" in outcomes[f"agent.name={'名' * 342!r:.40}"]
    assert "timeout: must be at most 315,360,000 (got 253000000000" in outcomes["timeout=253000000000.0"]
    assert "tools.0.timeout: must be at most 315,360,000" in outcomes["tool.timeout=9e+18"]
    assert sum(not reason for reason in outcomes.values()) > 40, "values within the bounds are accepted"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"timeout": 253e9}, "timeout=253000000000.0: must be at most 315,360,000"),
        ({"timeout": float("nan")}, "timeout=nan: must be a finite number"),
        ({"max_turns": 10**30}, "max_turns="),
        ({"agent": "名" * 342}, "2,052 bytes as escaped JSON, but at most 2,000"),
        ({"agent": "a\ud800"}, "half a surrogate pair"),
        ({"model": "m" * 1_001}, "model="),
        ({"workspace": "w" * 5_000}, "workspace="),
        ({"workspace": "w\0"}, "is not accepted: it must be a path that a folder can have"),
        ({"workspace": "\ud800"}, "is not accepted: it must be a path that a folder can have"),
    ],
)
async def test_the_client_refuses_them_before_the_start(lab: Lab, options: dict[str, Any], told: str) -> None:
    """The client names the field, the value and the bound, and starts nothing."""
    with pytest.raises(UsageError, match=re.escape(told)):
        await lab.holdfast.start(**{"agent": "known", "input": "x", **options})


async def test_the_other_workflows_end_too(lab: Lab) -> None:
    """The workflows beside `AgentRun` fail with the reason as well."""
    async with lab.worker(known, max_cached_workflows=1000):
        started = {
            f"{workflow} {argument!r:.40}": await start(lab, argument, workflow)
            for workflow, field in (("EmbedMemories", "namespace"), ("MirrorCatchUp", ""))
            for value in VALUES
            for argument in ([{field: value}, value] if field else [value])
        }
        outcomes = await failures(lab, started)
    assert "Terminated" not in str(outcomes)


@pytest.mark.parametrize("run_id", ["x" * 1000, "名" * 333, "a b\n\x1b[31m", "../../etc", "%2F" * 300])
async def test_any_id_that_temporal_accepts_will_do(lab: Lab, run_id: str) -> None:
    """A run with an unusual id completes, and its mirror too."""
    run_id = f"{uuid.uuid4()}{run_id}".encode()[:1000].decode(errors="ignore")
    lab.server.call_tools(("look", {"word": "x"}))
    async with lab.worker(known):
        handle = await start(lab, {"agent": "known", "input": "x"}, run_id=run_id)
        assert await failures(lab, {"it": handle}) == {"it": ""}
        await lab.assert_mirrored(run_id)


REPLIES: dict[str, Reply] = {
    "huge usage": Reply(
        "done", usage=Usage.model_construct(requests=1, input_tokens=2**64 - 1, output_tokens=2**64 - 1, cost_usd=1e400)
    ),
    "negative usage": Reply(
        "done", usage=Usage.model_construct(requests=1, input_tokens=-(2**70), output_tokens=-1, cost_usd=float("nan"))
    ),
    "long model": Reply("done", model="m" * 100_000),
    "long finish": Reply("done", finish_reason="f" * 100_000),
    "odd call": Reply(tool_calls=[ChatToolCall("😀" * 5_000, "[" * 5_000, id="i" * 5_000), ChatToolCall("", "NaN")]),
    "odd result": Reply(tool_calls=[ChatToolCall("report", {"kind": "x"})]),
    "no text": Reply(""),
    "deep": Reply(tool_calls=[ChatToolCall("look", '{"word": ' * 3_000)]),
}


def answer(request: ChatRequest) -> Reply:
    """The reply that the input names, then the end."""
    return Reply("done") if request.messages[-1]["role"] == "tool" else REPLIES[str(request.messages[-1]["content"])]


async def test_no_reply_of_a_provider_blocks_a_run(lab: Lab) -> None:
    """A reply with any numbers and texts ends in a turn, and impossible counts are estimated."""
    lab.server.respond = answer
    async with lab.worker(known, max_cached_workflows=100):
        started = {name: await start(lab, {"agent": "known", "input": name}) for name in REPLIES}
        failed = {name: reason for name, reason in (await failures(lab, started)).items() if reason}
        assert list(failed) == ["no text"]
        assert failed["no text"].startswith("AnswerEmpty")
        usage = await lab.holdfast.handle(started["huge usage"].id).usage()
        assert 0 < usage.total_tokens < 1_000, "impossible counts are replaced by estimates"
        for handle in started.values():
            await lab.assert_mirrored(handle.id)


async def test_a_fault_in_the_workflow_ends_the_run(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that nobody foresaw fails the run with its reason, in log and mirror too."""

    def broken(_one: Usage, _other: Usage) -> Usage:
        raise OverflowError("too much")

    monkeypatch.setattr(Usage, "__add__", broken)
    async with lab.worker(known):
        result = await lab.holdfast.run("known", "x")
        await lab.assert_mirrored(result.run_id)
    assert (result.status, result.error) == (RunStatus.FAILED, "the run cannot continue: OverflowError: too much")


async def test_a_result_of_another_program_is_checked(lab: Lab) -> None:
    """A tool's result that is not a ToolResult is an error for the model."""

    @activity.defn(name="tool.foreign")
    async def foreign(_invocation: dict[str, Any]) -> list[int]:
        return [1]

    queue = f"foreign-{uuid.uuid4()}"
    agent = AgentSpec.model_validate(spec(tools=[{"name": "foreign", "activity": "tool.foreign", "task_queue": queue}]))
    lab.server.call_tools(("foreign", {}))
    async with lab.worker(known), Worker(lab.client, task_queue=queue, activities=[foreign]):
        result = await lab.holdfast.run(agent, "x")
        assert result.success
        told = [message.content async for message in lab.holdfast.handle(result.run_id).transcript()]
    assert "the result of tool.foreign is not a ToolResult" in told[3]
