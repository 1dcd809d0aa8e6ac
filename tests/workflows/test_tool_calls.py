"""Tool calls in a worker: blocking, given up by Temporal, and raising."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from holdfast import Agent, Tool, ToolError, tool
from holdfast.workflows import options
from tests.support.lab import Lab, contents
from tests.support.log_lines import log_lines

BEYOND_HEARTBEATS = options.HEARTBEAT_TIMEOUT.total_seconds() + 1.5


@pytest.fixture
def log() -> Iterator[list[Any]]:
    """The log's lines."""
    with log_lines() as lines:
        yield lines


async def told(lab: Lab, called: Tool, *, isolate_tools: bool = True) -> list[str]:
    """Runs an agent that calls one tool; returns what the model was told."""
    lab.server.call_tools((called.spec.name, {}))
    lab.server.say("I see.")
    async with lab.worker(Agent(name="user", tools=[called]), isolate_tools=isolate_tools):
        result = await lab.holdfast.run("user", "Go.")
        entries = await lab.entries(result.run_id)
    return [text for role, text in contents(entries) if role == "tool"]


async def test_a_blocking_async_tool_runs_once(lab: Lab) -> None:
    """An async tool that blocks for longer than the heartbeat timeout is neither taken for lost nor repeated."""
    calls: list[float] = []

    @tool(read_only=True)
    async def sleepy() -> str:
        """Blocks."""
        calls.append(time.monotonic())
        time.sleep(BEYOND_HEARTBEATS)  # noqa: ASYNC251 - the fault that is tested
        return f"slept {len(calls)}"

    assert await told(lab, sleepy) == ["slept 1"]


async def test_an_attempt_joins_the_call_of_one_that_was_given_up(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """If Temporal gives an attempt up whose tool still runs here, the next one waits for it, instead of a second."""
    monkeypatch.setattr("holdfast.activities.heartbeat.HEARTBEAT_INTERVAL", timedelta(hours=1))
    calls: list[float] = []

    @tool(read_only=True)
    async def unheard() -> str:
        """Takes longer than Temporal waits for a heartbeat."""
        calls.append(time.monotonic())
        await asyncio.sleep(BEYOND_HEARTBEATS)
        return f"heard {len(calls)}"

    assert await told(lab, unheard) == ["heard 1"]


def raising(error: Callable[[], BaseException]) -> Tool:
    """A tool that fails."""

    @tool
    async def fail(secret: str = "a secret value") -> str:
        """Fails."""
        raise error()

    return fail


async def test_an_error_of_a_tool_is_in_the_log_once(lab: Lab, log: list[Any]) -> None:
    """A tool that raises leaves one traceback, which begins in its own code; the SDK adds none."""
    answers = await told(lab, raising(lambda: ValueError("no such thing")))
    assert answers == ["error: ValueError: no such thing"]
    [line] = [line for line in log if line.get("exc_info")]
    assert (line["tool"], line["reason"]) == ("fail", "ValueError: no such thing")
    frames = line["exc_info"].__traceback__
    assert frames.tb_frame.f_code.co_name == "fail"


async def test_a_report_of_a_tool_needs_no_traceback(lab: Lab, log: list[Any]) -> None:
    """A ToolError is the tool's own report to the model: one line without a traceback."""
    answers = await told(lab, raising(lambda: ToolError("try another word")))
    assert answers == ["error: try another word"]
    [line] = [line for line in log if line["event"] == "tool failed"]
    assert "exc_info" not in line


@pytest.mark.parametrize("isolate_tools", [True, False])
async def test_a_tools_own_cancellation_is_its_error(lab: Lab, isolate_tools: bool) -> None:
    """CancelledError that a tool raises by itself is told as such, not as the end of the worker."""
    answers = await told(lab, raising(asyncio.CancelledError), isolate_tools=isolate_tools)
    assert answers == ["error: RuntimeError: the tool raised CancelledError, although the call was not cancelled"]


class Mute(Exception):
    """An error that has no text."""

    def __str__(self) -> str:
        raise KeyError("none")


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (Mute(), "error: Mute (its text cannot be shown: KeyError)"),
        (ValueError("long" * 1_000_000), f"error: ValueError: {'long' * 4_997}… (3,980,012 more characters)"),
    ],
    ids=["without a text", "with a text of megabytes"],
)
async def test_any_error_of_a_tool_is_told(lab: Lab, error: Exception, answer: str) -> None:
    """The model reads what an error is, at a size that fits into its context; the call is made once."""
    made: list[int] = []

    @tool
    async def fail() -> str:
        """Fails."""
        made.append(1)
        raise error

    [read] = await told(lab, fail)
    assert read == answer
    assert made == [1]
