"""Checkpoints of a run, and going back to them: the log keeps everything, and the model sees what counts."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

from holdfast import Agent, Entry, RunHandle, RunStatus, ToolContext, names, tool
from holdfast.context import context_of
from holdfast.errors import CommandRefused, RunOver, UsageError
from holdfast.ops.doctor import Verdict, Verifier
from holdfast.storage.database import open_database
from holdfast.storage.mirror import SurrealStore
from holdfast.storage.mirror.memory import MemoryStore
from holdfast.temporal.run_log import TemporalRunLog
from holdfast.testing import Reply
from tests.support.lab import Lab, eventually
from tests.support.many_turns import walk, walker
from tests.support.moments import has_status, streaming

LONG = "This is the beginning of a very long answer that never comes to its end."


@tool
async def pay(euros: int) -> str:
    """Pays."""
    return f"paid {euros}"


@tool(read_only=True)
async def look(at: str) -> str:
    """Looks."""
    return f"saw {at}"


@tool(read_only=True)
async def wait_for_ever() -> str:
    """Waits."""
    await asyncio.Event().wait()
    return "never"


@tool(read_only=True)
async def mark(context: ToolContext, name: str) -> str:
    """Makes two checkpoints."""
    context.create_checkpoint(name, {"half": 1})
    return context.create_checkpoint(name, {"half": 2, "bad": object()})


clerk = Agent(name="clerk", system_prompt="You work.", tools=[pay, look, wait_for_ever, mark])


def sent(lab: Lab, number: int) -> list[str]:
    """What the model was sent with a request: the content of each message, or the names of the tools it called."""
    return [
        message["content"] or "+".join(call["function"]["name"] for call in message["tool_calls"])
        for message in lab.server.requests[number].messages
    ]


def of_kind(entries: list[Entry], kind: str) -> list[dict[str, Any]]:
    return [entry.data for entry in entries if entry.kind == kind]


async def test_restore_during_stream(lab: Lab) -> None:
    """The stream is closed, its text stays in the transcript, and the model continues from the point."""
    lab.server.call_tools(("look", {"at": "bill"}))
    lab.server.call_tools(("pay", {"euros": 5}))
    lab.server.reply(Reply(text=LONG, hang_after=1))
    lab.server.say("Done.")
    async with lab.worker(clerk, max_cached_workflows=100):
        handle = await lab.holdfast.start("clerk", "Work.")
        await streaming(handle)
        assert [point.id for point in await handle.checkpoints()] == ["turn-1", "turn-2"]
        assert [(effect.turn, effect.call.name) for effect in await handle.effects_since("1")] == [(2, "pay")]
        assert await handle.restore_from_checkpoint("turn-1", by="Ada")
        await lab.server.wait_disconnected(2)
        result = await handle.result(60)
        assert result.content == "Done."
        assert sent(lab, 3) == ["You work.", "Work.", "look", "saw bill"]
        entries = await lab.entries(handle.id)
        [restored] = of_kind(entries, "restored")
        assert (restored["checkpoint"], restored["by"], entries[restored["to"]].kind) == (
            "turn-1",
            "Ada",
            "tool_result",
        )
        partial = [entry.message for entry in entries if entry.message and entry.message.partial]
        assert len(partial) == 1
        assert result.usage.requests == 4, "what was streamed is counted, as it was paid for"
        await lab.assert_mirrored(handle.id)


async def test_restore_to_before_restore(lab: Lab) -> None:
    """A restore to before an earlier one, and one to what an earlier one left behind, both count."""
    lab.server.respond = walk(100)
    async with lab.worker(walker, max_cached_workflows=100):
        handle = await lab.holdfast.start("walker", "Walk.", timeout=60)

        async def paused_after(turn: int) -> None:
            await lab.server.wait_for_requests(turn)
            await handle.pause()
            await has_status(handle, RunStatus.PAUSED)

        await paused_after(4)
        assert await handle.restore_from_checkpoint("3")
        await handle.resume()
        await paused_after(8)
        assert await handle.restore_from_checkpoint("turn-2")
        at_two = len(lab.server.requests)
        await handle.resume()
        await lab.server.wait_for_requests(at_two + 1)
        assert len(sent(lab, at_two)) == 2 + 2 * 2
        await paused_after(at_two + 1)
        assert await handle.restore_from_checkpoint("turn-4")
        at_four = len(lab.server.requests)
        await handle.resume()
        await lab.server.wait_for_requests(at_four + 1)
        assert len(sent(lab, at_four)) == 2 + 2 * 4, "turn 4 was left behind by the first restore"
        await handle.cancel()
        await handle.result(60)
        await lab.assert_mirrored(handle.id)


async def test_doctor_after_restore(lab: Lab) -> None:
    """Mirror and history agree after restores, and the store's context is the one that the model saw."""
    database = open_database("mem://")
    store = SurrealStore(database)
    await store.open()
    lab.server.call_tools(("look", {"at": "bill"}), ("mark", {"name": "here"}))
    lab.server.call_tools(("pay", {"euros": 5}))
    lab.server.reply(Reply(text=LONG, hang_after=1))
    lab.server.say("Done.")
    try:
        async with lab.worker(clerk, store=store, max_cached_workflows=100):
            handle = await lab.holdfast.start("clerk", "Work.")
            await streaming(handle)
            assert await handle.restore_from_checkpoint("here")
            assert (await handle.result(60)).content == "Done."
            await lab.assert_mirrored(handle.id, store)
            entries = await lab.entries(handle.id)
            context = await store.context(handle.id, entries[-1].ref)
            assert context == context_of(entries)
            assert [message.content for message in context.messages][-2:] == ["1.call_2_1.2", "Done."]
            report = await Verifier(store, TemporalRunLog(lab.client)).verify(handle.id)
            assert (report.verdict, list(report.differences)) == (Verdict.HEALTHY, [])
            [rows] = await database.run("SELECT VALUE [data.seq, data.name] FROM agent_checkpoint")
            found = [(point.ref.seq, point.name) for point in await handle.checkpoints()]
            assert sorted(map(tuple, rows)) == sorted(found)
            assert [name for _, name in found] == ["turn-1", "here", "here", "turn-2", "turn-4"]
    finally:
        await store.close()


async def test_a_point_within_a_turn(lab: Lab) -> None:
    """Calls that were not finished at the point get a result, so that no provider sees an open call."""
    lab.server.call_tools(("look", {"at": "bill"}), ("wait_for_ever", {}))
    lab.server.say("Done.")
    async with lab.worker(clerk, max_cached_workflows=100):
        handle = await lab.holdfast.start("clerk", "Work.")
        await eventually(lambda: _has_entry(handle, "tool_result"))
        assert await handle.create_checkpoint("mid", {"a": [1]}, id="mine", by="Ada") == "mine"
        [point] = await handle.checkpoints()
        assert (point.id, point.name, point.data, point.by, point.turn) == ("mine", "mid", {"a": [1]}, "Ada", 1)
        assert await handle.restore_from_checkpoint("mid")
        result = await handle.result(60)
        assert result.content == "Done."
        assert sent(lab, 1)[3] == "saw bill"
        assert "went back" in sent(lab, 1)[4]
        assert len(sent(lab, 1)) == 5
        entries = await lab.entries(handle.id)
        [command] = [data for data in of_kind(entries, "command") if data["command"] == "create_checkpoint"]
        assert "data" not in command, "the checkpoint's own entry has it"
        await lab.assert_mirrored(handle.id)


async def _calls(handle: RunHandle, name: str) -> bool:
    return name in (await handle.status()).doing


async def started_session(lab: Lab, text: str) -> RunHandle:
    """A session whose agent answers a first message."""
    run_id = f"session-{uuid.uuid4().hex[:8]}"
    request = {"agent": "clerk", "input": text, "session": True}
    queue = lab.settings.temporal_task_queue
    await lab.client.start_workflow(names.AGENT_RUN, request, id=run_id, task_queue=queue)
    return lab.holdfast.handle(run_id)


async def test_a_session_goes_back_to_an_answer(lab: Lab) -> None:
    """A session that went back to an answer waits for the next message; one that waits can be taken back at once."""
    for text in ("one", "two", "three"):
        lab.server.say(text)
    async with lab.worker(clerk, max_cached_workflows=100):
        handle = await started_session(lab, "First.")
        await has_status(handle, RunStatus.WAITING)
        await handle.send("Second.")
        await lab.server.wait_for_requests(2)
        await has_status(handle, RunStatus.WAITING)
        assert await handle.restore_from_checkpoint("turn-1")
        await has_status(handle, RunStatus.WAITING)
        assert (await handle.status()).output == "one"
        await handle.send("Third.")
        await lab.server.wait_for_requests(3)
        assert sent(lab, 2) == ["You work.", "First.", "one", "Third."]
        await has_status(handle, RunStatus.WAITING)
        await handle.cancel()
        await handle.result(60)
        await lab.assert_mirrored(handle.id)


async def test_a_paused_run_goes_back_and_stays_paused(lab: Lab) -> None:
    """Going back does not resume a run."""
    lab.server.respond = walk(6)
    async with lab.worker(walker, max_cached_workflows=100):
        handle = await lab.holdfast.start("walker", "Walk.")
        await lab.server.wait_for_requests(3)
        await handle.pause()
        await has_status(handle, RunStatus.PAUSED)
        assert await handle.restore_from_checkpoint("turn-1")
        seen = len(lab.server.requests)
        assert (await handle.status()).status == RunStatus.PAUSED
        await handle.resume()
        assert (await handle.result(60)).content == "walked 5 steps"
        assert len(sent(lab, seen)) == 4


async def test_what_is_refused(lab: Lab) -> None:
    """An unknown checkpoint, a name of a turn and an ended run are refused, and leave no trace."""
    lab.server.call_tools(("wait_for_ever", {}))
    async with lab.worker(clerk, max_cached_workflows=100):
        handle = await lab.holdfast.start("clerk", "Work.")
        await eventually(lambda: _calls(handle, "wait_for_ever"))
        before = await lab.entries(handle.id)
        assert not await handle.restore_from_checkpoint("turn-7")
        assert not await handle.restore_from_checkpoint("nowhere")
        with pytest.raises(CommandRefused, match="a turn's end has this name"):
            await handle.create_checkpoint("turn-3")
        with pytest.raises(UsageError, match="at most 65,536 are accepted"):
            await handle.create_checkpoint("big", "x" * 70_000)
        with pytest.raises(UsageError, match="no checkpoint 'nowhere': it has none yet"):
            await handle.effects_since("nowhere")
        assert await lab.entries(handle.id) == before
        raw = lab.client.get_workflow_handle(handle.id)
        await raw.signal("restore", "nowhere")
        await raw.signal("restore")
        await raw.signal("create_checkpoint", "by hand")
        await raw.signal("create_checkpoint")
        await eventually(lambda: _has(handle, 2))
        refused = of_kind(await lab.entries(handle.id), "refused")
        assert "nowhere" in refused[0]["reason"]
        assert (
            refused[1]["reason"]
            == 'restore: checkpoint is missing; it takes {"checkpoint": "turn-3"}, or just "turn-3"'
        )
        assert [point.name for point in await handle.checkpoints()] == ["by hand", "checkpoint"]
        await raw.signal("restore", "by hand")
        await eventually(lambda: _has_entry(handle, "restored"))
        await handle.cancel()
        await handle.result(60)
        with pytest.raises(RunOver):
            await handle.restore_from_checkpoint("by hand")


async def _has(handle: RunHandle, count: int) -> bool:
    return len(await handle.checkpoints()) == count


async def _has_entry(handle: RunHandle, kind: str) -> bool:
    return any([entry.kind == kind async for entry in handle.entries()])


@pytest.mark.parametrize("is_lost", [False, True], ids=["from the mirror", "from history"])
async def test_restore_over_continue_as_new(short_histories: Lab, is_lost: bool) -> None:
    """A checkpoint of an earlier execution is found in the mirror, or else in history."""
    lab, store, turns = short_histories, MemoryStore(), 60
    lab.server.respond = walk(10_000)
    async with lab.worker(walker, store=store, max_cached_workflows=100):
        handle = await lab.holdfast.start("walker", "Walk.", timeout=300)
        await lab.server.wait_for_requests(turns, 60)
        assert await _continued(lab, handle)
        await handle.pause()
        await has_status(handle, RunStatus.PAUSED)
        assert not await handle.restore_from_checkpoint("turn-900"), "it is refused at once"
        assert not await handle.restore_from_checkpoint("nowhere"), "it is refused when the log has been read"
        if is_lost:
            MemoryStore.__init__(store)
        assert await handle.restore_from_checkpoint("turn-3", by="Ada")
        seen = len(lab.server.requests)
        await handle.resume()
        await lab.server.wait_for_requests(seen + 1)
        assert len(sent(lab, seen)) == 2 + 2 * 3
        await handle.cancel()
        await handle.result(60)
        await lab.assert_mirrored(handle.id, store)


async def _continued(lab: Lab, handle: RunHandle) -> bool:
    description = await lab.client.get_workflow_handle(handle.id).describe()
    return description.run_id != description.raw_description.workflow_execution_info.first_run_id
