"""Stopping a run: the model's stream is closed, its partial text is kept, and the final state is correct."""

from __future__ import annotations

import asyncio
import time

import pytest

from holdfast import Agent, RunHandle, RunStatus, TextDelta, ToolContext, tool
from holdfast.testing import Reply
from tests.support.lab import SOON, Lab, contents, eventually

LONG = "This is the beginning of a very long answer that never comes to its end."


@tool(read_only=True)
async def wait_for_ever(context: ToolContext) -> str:
    """Makes a checkpoint, and waits."""
    context.create_checkpoint("waiting", {"call": context.call_id})
    waiting.append(context.call_id)
    await asyncio.Event().wait()
    return "never"


waiting: list[str] = []
talker = Agent(name="talker", system_prompt="You talk.", tools=[wait_for_ever])


async def started_streaming(lab: Lab) -> RunHandle:
    """A run whose model is in the middle of its answer."""
    lab.server.reply(Reply(text=LONG, hang_after=1))
    handle = await lab.holdfast.start("talker", "Talk.")
    async for event in handle.events():
        if isinstance(event, TextDelta):
            return handle
    raise AssertionError("the run ended before the model said a word")


async def test_cancel_during_streaming(lab: Lab) -> None:
    """Cancelling closes the provider's stream."""
    async with lab.worker(talker, max_cached_workflows=100):
        handle = await started_streaming(lab)
        asked = time.monotonic()
        await handle.cancel()
        closed = await lab.server.wait_disconnected(0)
        assert closed - asked < SOON
        result = await handle.result(60)
        assert result.status == RunStatus.CANCELLED
        assert result.content
        assert LONG.startswith(result.content.rstrip())
        entries = await lab.entries(handle.id)
        assert contents(entries)[-1] == ("assistant", result.content)
        partial = entries[-2].message
        assert partial is not None
        assert partial.partial
        assert result.usage.requests == 1, "what was streamed is counted, as it was paid for"
        assert (await handle.status()).status == RunStatus.CANCELLED
        await lab.assert_mirrored(handle.id)
        listed = [run async for run in lab.holdfast.list(status=RunStatus.CANCELLED, agent="talker", limit=1000)]
        assert handle.id in [run.run_id for run in listed]


async def test_cancel_during_a_tool(lab: Lab) -> None:
    """Cancelling interrupts a waiting tool and ends the run; the checkpoint that the tool has made is kept."""
    waiting.clear()
    lab.server.call_tools(("wait_for_ever", {}), ("wait_for_ever", {}))

    async def have_begun() -> bool:
        return len(waiting) == 2

    async with lab.worker(talker):
        handle = await lab.holdfast.start("talker", "Wait.")
        await eventually(have_begun)
        await handle.cancel()
        assert (await handle.result(60)).status == RunStatus.CANCELLED
        entries = await lab.entries(handle.id)
        assert [entry.data["error"] for entry in entries if entry.kind == "tool_result"] == [True, True]
        assert entries[-1].data["result"]["status"] == "cancelled"
        made = [point for point in await handle.checkpoints() if point.name == "waiting"]
        assert [point.data for point in made] == [{"call": call} for call in sorted(waiting)]


async def test_cancel_while_the_provider_is_unavailable(lab: Lab) -> None:
    """A run is cancelled between two attempts too."""
    lab.server.respond = lambda _request: Reply.error(503, headers={"Retry-After": "600"})
    async with lab.worker(talker):
        handle = await lab.holdfast.start("talker", "Talk.")
        await lab.server.wait_for_requests(1)
        await handle.cancel()
        assert (await handle.result(60)).status == RunStatus.CANCELLED


async def test_cancel_before_a_worker_is_running(lab: Lab) -> None:
    """A run cancelled before a worker starts it ends as cancelled, without a model call."""
    handle = await lab.holdfast.start("talker", "Talk.")
    await handle.cancel()
    async with lab.worker(talker):
        assert (await handle.result(60)).status == RunStatus.CANCELLED
    assert not lab.server.requests


async def test_terminate_leaves_a_true_status(lab: Lab) -> None:
    """A terminated run has the status that the server reports."""
    async with lab.worker(talker, max_cached_workflows=100):
        handle = await started_streaming(lab)
        await handle.terminate("enough")
        result = await handle.result(60)
        assert result.status == RunStatus.TERMINATED
        assert "enough" in (result.error or "")
        listed = [run async for run in lab.holdfast.list(status=RunStatus.TERMINATED, agent="talker", limit=1000)]
        assert [run.status for run in listed if run.run_id == handle.id] == [RunStatus.TERMINATED]


@pytest.mark.parametrize("answer", ["Done."])
async def test_cancel_after_the_end_changes_nothing(lab: Lab, answer: str) -> None:
    """Cancelling a completed run changes nothing."""
    lab.server.say(answer)
    async with lab.worker(talker):
        handle = await lab.holdfast.start("talker", "Talk.")
        assert (await handle.result(60)).content == answer
        await handle.cancel()
        assert (await handle.result(60)).status == RunStatus.COMPLETED
