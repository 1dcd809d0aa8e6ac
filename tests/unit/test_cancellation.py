"""Cancellation of tools that run in threads."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from holdfast import Tool, ToolContext, tool
from holdfast.activities.tool_loop import ToolLoop
from holdfast.activities.tool_runner import ToolRunner
from holdfast.activities.tool_threads import UnfinishedCall
from tests.support.log_lines import log_lines


def context() -> ToolContext:
    return ToolContext(run_id="r1", call_id="c1", agent="a", turn=1, attempt=1, workspace=Path("/nowhere"))


async def call(called: Tool) -> str:
    """Calls a tool without arguments."""
    return (await ToolRunner(ToolLoop()).call(called, "{}", context())).content


async def test_a_function_that_looks_may_end_after_its_timeout() -> None:
    """A plain function that exceeds its timeout and looks at `is_cancelled` returns what it has; its clean-up runs."""
    order: list[str] = []
    cleaned = threading.Event()

    def first() -> None:
        order.append("first")
        cleaned.set()

    def last() -> None:
        order.append("last")
        raise OSError("gone")

    @tool(timeout=0.1)
    def look(context: ToolContext) -> str:
        """Looks."""
        context.on_cancel(first)
        context.on_cancel(last)
        while not context.is_cancelled:
            cleaned.wait(0.01)
        return "a part"

    with log_lines() as lines:
        assert await call(look) == "a part"
        assert await asyncio.to_thread(cleaned.wait, 10)
    assert order == ["last", "first"]
    assert [line["event"] for line in lines] == ["the clean-up of a cancelled tool failed"]
    too_late = context()
    too_late.cancellation.cancel()
    too_late.on_cancel(lambda: order.append("at once"))
    assert (too_late.is_cancelled, order[-1]) == (True, "at once")


async def test_a_function_that_does_not_look_is_given_up_at_once() -> None:
    """Who does not look gets no time to end: the model is told that the call may still be running."""
    release = threading.Event()

    @tool(timeout=0.1)
    def deaf() -> str:
        """Does not look."""
        release.wait()
        return "late"

    with pytest.raises(UnfinishedCall, match="may still be running"):
        await call(deaf)
    release.set()
