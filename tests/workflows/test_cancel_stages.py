"""Cancel and interrupt at each stage of a run: over within seconds, with a true final state and no open call."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from holdfast import Agent, Budget, RunHandle, RunStatus, TextDelta, tool
from holdfast.errors import RunOver
from holdfast.scripted.chat import ChatToolCall
from holdfast.testing import Reply
from tests.support.lab import SOON, Lab, eventually

LONG = "This is the beginning of a very long answer that never comes to its end."

cleaned: list[str] = []


@tool(read_only=True)
async def hang_async() -> str:
    """Hangs."""
    try:
        await asyncio.Event().wait()
    finally:
        cleaned.append("async")
    return "never"


@tool(read_only=True, timeout=5)
def hang_in_thread() -> str:
    """Hangs in a thread, which nothing can end."""
    time.sleep(1.0)
    return "late"


@tool(read_only=True)
def nod() -> str:
    """Nods."""
    return "yes"


def calls(name: str) -> Reply:
    """A reply that calls a tool."""
    return Reply(tool_calls=[ChatToolCall(name, {})])


agent = Agent(name="stages", system_prompt="You work.", tools=[hang_async, hang_in_thread, nod])


async def requested(lab: Lab, handle: RunHandle) -> None:
    """The model was called, and has not written anything."""
    await lab.server.wait_for_requests(1)


async def streaming(lab: Lab, handle: RunHandle) -> None:
    """The model is in the middle of its answer."""
    async for event in handle.events():
        if isinstance(event, TextDelta):
            return


async def calling(lab: Lab, handle: RunHandle) -> None:
    """A tool is running."""

    async def is_pending() -> bool:
        described = await lab.client.get_workflow_handle(handle.id).describe()
        return any(
            pending.activity_type.name.startswith("tool.") and pending.HasField("last_started_time")
            for pending in described.raw_description.pending_activities
        )

    await eventually(is_pending)


async def paused(lab: Lab, handle: RunHandle) -> None:
    """The run is paused."""
    await requested(lab, handle)
    await handle.pause(now=True)

    async def is_paused() -> bool:
        return (await handle.status()).status == RunStatus.PAUSED

    await eventually(is_paused)


async def between_attempts(lab: Lab, handle: RunHandle) -> None:
    """The provider is unavailable, and the call waits for its next attempt."""
    await requested(lab, handle)


STAGES: dict[str, tuple[Reply, Callable[[Lab, RunHandle], Awaitable[None]]]] = {
    "before the first token": (Reply(text=LONG, hang_after=0), requested),
    "in mid-stream": (Reply(text=LONG, hang_after=1), streaming),
    "between two attempts": (Reply.error(503, headers={"Retry-After": "600"}), between_attempts),
    "while an async tool runs": (calls("hang_async"), calling),
    "while a tool runs in a thread": (calls("hang_in_thread"), calling),
    "while paused": (Reply(text=LONG, hang_after=0), paused),
}


async def assert_no_dangling_call(lab: Lab, handle: RunHandle) -> None:
    """Each call has exactly one result."""
    entries = await lab.entries(handle.id)
    calls = [call.id for entry in entries if entry.message for call in entry.message.tool_calls]
    results = [entry.message.tool_call_id for entry in entries if entry.message and entry.message.role == "tool"]
    assert calls == results


@pytest.mark.parametrize("stage", STAGES)
async def test_cancel_at_each_stage(lab: Lab, stage: str) -> None:
    """A cancelled run ends soon, says so, answers each call, counts what was streamed, and lets tools clean up."""
    reply, reached = STAGES[stage]
    cleaned.clear()
    lab.server.reply(reply)
    async with lab.worker(agent, max_cached_workflows=100):
        handle = await lab.holdfast.start("stages", "Work.")
        await reached(lab, handle)
        asked = time.monotonic()
        await handle.cancel()
        result = await handle.result(60)
        took = time.monotonic() - asked
        assert result.status == RunStatus.CANCELLED
        assert took < SOON, f"it took {took:.1f} s"
        await assert_no_dangling_call(lab, handle)
        if "stream" in stage:
            assert result.content
            assert LONG.startswith(result.content.rstrip())
            assert result.usage.requests == 1
        if "async" in stage:
            assert cleaned == ["async"]
        progress = await handle.status()
        assert (progress.status, progress.waits_for) == (RunStatus.CANCELLED, [])
        await lab.assert_mirrored(handle.id)


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage != "while paused"])
async def test_interrupt_each_stage_then_send(lab: Lab, stage: str) -> None:
    """An interrupted turn leaves a run that continues with the next message."""
    reply, reached = STAGES[stage]
    lab.server.reply(reply)
    async with lab.worker(agent, max_cached_workflows=100):
        handle = await lab.holdfast.start("stages", "Work.")
        await reached(lab, handle)
        await handle.interrupt()

        async def is_paused() -> bool:
            return (await handle.status()).status == RunStatus.PAUSED

        await eventually(is_paused)
        await assert_no_dangling_call(lab, handle)
        lab.server.say("Done.")
        await handle.send("Go on.")
        await handle.resume()
        assert (await handle.result(60)).content == "Done."
        await assert_no_dangling_call(lab, handle)


async def test_cancel_while_a_session_waits(lab: Lab) -> None:
    """A session that waits for a message is cancelled at once."""
    lab.server.say("Hello.")
    async with lab.worker(agent):
        session = lab.holdfast.session(f"waiting-{lab.settings.temporal_task_queue}", "stages")
        await session.ask("Hi.")
        asked = time.monotonic()
        await session.run.cancel()
        assert (await session.run.result(60)).status == RunStatus.CANCELLED
        assert time.monotonic() - asked < SOON


async def test_pause_races_finish(lab: Lab) -> None:
    """A pause that arrives while a run ends either pauses it or hears that it is over."""
    lab.server.respond = lambda _request: Reply(text="Done.")
    async with lab.worker(agent, max_cached_workflows=100):
        for delay in range(8):
            handle = await lab.holdfast.start("stages", "Work.")
            await asyncio.sleep(0.01 * delay)
            try:
                await handle.pause()
            except RunOver:
                pass
            else:

                async def is_settled(run: RunHandle = handle) -> bool:
                    return (await run.status()).status in {RunStatus.PAUSED, RunStatus.COMPLETED}

                await eventually(is_settled)
                if (await handle.status()).status == RunStatus.PAUSED:
                    await handle.resume()
            assert (await handle.result(60)).content == "Done."


async def test_a_budget_wait_is_withdrawn(lab: Lab) -> None:
    """A run that is cancelled while it waits for a person says that nobody needs to decide any more."""
    lab.server.respond = lambda _request: calls("nod")
    async with lab.worker(agent, max_cached_workflows=100):
        handle = await lab.holdfast.start("stages", "Work.", budget=Budget(tool_calls=1, on_limit="ask"))

        async def waits() -> bool:
            return [wait.kind for wait in (await handle.status()).waits_for] == ["budget"]

        await eventually(waits)
        await handle.cancel()
        assert (await handle.result(60)).status == RunStatus.CANCELLED
        [ended] = [entry for entry in await lab.entries(handle.id) if entry.kind == "wait_ended"]
        assert ended.data["outcome"] == "withdrawn"
        await lab.assert_mirrored(handle.id)
