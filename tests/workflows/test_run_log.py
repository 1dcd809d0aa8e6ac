"""Logs of runs: readable at any time, from history or by a query to the worker."""

from __future__ import annotations

from datetime import timedelta

import pytest

from holdfast import Agent, RunHandle, RunStatus, WorkerUnavailable
from holdfast.storage.mirror.memory import MemoryStore
from holdfast.temporal import replayed
from holdfast.temporal.replayed import ReplayedLog
from holdfast.temporal.run_log import TemporalRunLog
from holdfast.testing import ChatRequest, Reply
from holdfast.types import Entry, Message
from tests.support.lab import Lab, eventually, replayed_entries
from tests.support.many_turns import count_to, counter, walk, walker
from tests.support.switched_store import SwitchedStore

NO_TIME = timedelta(milliseconds=1)  # no worker answers as fast
MOMENT = timedelta(milliseconds=500)
AMPLE = timedelta(seconds=60)

speaker = Agent(name="speaker", system_prompt="You speak.")


async def finished_run(lab: Lab) -> RunHandle:
    """A run that has ended and is in no worker's memory."""
    lab.server.reply(Reply(text="Said."))
    handle = await lab.holdfast.start("speaker", "Speak.")
    await handle.result(60)
    return handle


async def replayed_log(lab: Lab, run: RunHandle, after: int) -> tuple[list[Entry], list[Message]]:
    """What the workflow itself says of its entries and messages."""
    newest = (await lab.client.get_workflow_handle(run.id).describe()).run_id
    messages = ReplayedLog(lab.client).messages(run.id, newest, after)
    return await replayed_entries(lab.client, run.id, after), [message async for message in messages]


async def assert_the_same_without_worker(lab: Lab, run: RunHandle, *afters: int) -> None:
    """Checks that reads without a worker return what the workflow's queries return."""
    async with lab.worker(walker, counter, speaker):
        progress = await ReplayedLog(lab.client).progress(run.id)
        said = [await replayed_log(lab, run, after) for after in afters]
    log = TemporalRunLog(lab.client, query_timeouts=(NO_TIME,))
    for after, (entries, messages) in zip(afters, said, strict=True):
        assert [entry async for entry in log.entries(run.id, after)] == entries
        assert [message async for message in log.messages(run.id, after)] == messages
    snapshot = await log.snapshot(run.id)
    assert (snapshot.ended, snapshot.mirrored) == (True, progress.mirrored)
    assert (snapshot.run.head.seq, snapshot.run.head.digest) == (progress.head, progress.digest)
    assert await log.progress(run.id) == progress.model_copy(update={"deadline": None})


async def test_a_finished_run_needs_no_worker(lab: Lab) -> None:
    """A finished run is read without a worker."""
    async with lab.worker(speaker):
        run = await finished_run(lab)
    await assert_the_same_without_worker(lab, run, -1, 0, 2, 1000)


async def test_executions_that_are_closed_need_no_worker(short_histories: Lab) -> None:
    """Closed executions of a run are read without a worker, and agree with the workflow."""
    lab, turns, held = short_histories, 60, 55

    def hold(request: ChatRequest) -> Reply:
        if len(lab.server.requests) == held:
            return Reply(text="I am tired of walking.", hang_after=1)
        return walk(turns)(request)

    lab.server.respond = hold
    async with lab.worker(walker, max_cached_workflows=100):
        run = await lab.holdfast.start("walker", "Walk.", timeout=300)
        await lab.server.wait_for_requests(held, 200)
        description = await lab.client.get_workflow_handle(run.id).describe()
        assert description.run_id != description.raw_description.workflow_execution_info.first_run_id
        entries, messages = await replayed_log(lab, run, -1)
        assert [entry async for entry in run.entries()] == entries
        assert [message async for message in run.transcript()] == messages
        await run.cancel()
        await run.result(60)
    await assert_the_same_without_worker(lab, run, -1, 3, 100, 10_000)


async def test_entries_that_no_append_carried_are_asked_for(lab: Lab) -> None:
    """Entries that history does not carry are requested from the workflow."""
    store, turns, lost = MemoryStore(), 12, 8

    def lose(request: ChatRequest) -> Reply:
        if len(lab.server.requests) == lost:
            MemoryStore.__init__(store)
        return count_to(turns)(request)

    lab.server.respond = lose
    async with lab.worker(counter, store=store, max_cached_workflows=100):
        run = await lab.holdfast.start("counter", "Count.")
        await run.result(60)
        entries, messages = await replayed_log(lab, run, -1)
        assert [entry async for entry in run.entries()] == entries
        assert [message async for message in run.transcript()] == messages
        assert len(messages) == 2 * turns + 1


async def test_a_run_that_its_mirror_has_not_taken_is_asked(lab: Lab) -> None:
    """A run that ended while its store was unavailable is read completely."""
    store = SwitchedStore(on=False)
    lab.server.respond = count_to(3)
    async with lab.worker(counter, store=store):
        run = await lab.holdfast.start("counter", "Count.")
        await run.result(60)
        entries, _ = await replayed_log(lab, run, -1)
        assert [entry async for entry in run.entries()] == entries
        assert (await TemporalRunLog(lab.client).snapshot(run.id)).mirrored == -1
        store.on = True
        await lab.assert_mirrored(run.id, store)


async def test_a_terminated_run_is_asked(lab: Lab) -> None:
    """Everything that a terminated run recorded after its last append can be read."""
    lab.server.reply(Reply(text="A long answer that does not end.", hang_after=1))
    async with lab.worker(speaker, max_cached_workflows=100):
        run = await lab.holdfast.start("speaker", "Speak.")
        await lab.server.wait_for_requests(1, 60)

        async def is_mirrored() -> bool:
            return await lab.store.head(run.id) is not None

        await eventually(is_mirrored)
        await lab.client.get_workflow_handle(run.id).terminate("enough")
        entries, messages = await replayed_log(lab, run, -1)
        assert [entry async for entry in run.entries()] == entries
        assert [message.content for message in messages] == ["You speak.", "Speak."]
        snapshot = await TemporalRunLog(lab.client).snapshot(run.id)
        assert (snapshot.ended, snapshot.run.summary.status) == (True, RunStatus.TERMINATED)


async def test_a_busy_worker_is_asked_again(lab: Lab) -> None:
    """A query that a busy worker answers late is repeated with a longer timeout."""
    async with lab.worker(speaker):
        run = await finished_run(lab)
        progress = await ReplayedLog(lab.client, query_timeouts=(NO_TIME, AMPLE)).progress(run.id)
    assert progress.status == RunStatus.COMPLETED


async def test_timeouts_end(lab: Lab) -> None:
    """Reading a run whose worker does not answer fails in bounded time."""
    async with lab.worker(speaker):
        run = await finished_run(lab)
        with pytest.raises(WorkerUnavailable, match=rf"no worker answered a query of run '{run.id}' within 0\.002 s"):
            await ReplayedLog(lab.client, query_timeouts=(NO_TIME, NO_TIME)).progress(run.id)


async def test_reading_without_a_poller_fails_early(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a worker, reading fails early."""
    async with lab.worker(speaker):
        run = await finished_run(lab)
    monkeypatch.setattr(replayed, "POLL_RECENCY", timedelta())
    with pytest.raises(WorkerUnavailable, match=r"within 0\.5 s"):
        await ReplayedLog(lab.client, query_timeouts=(MOMENT, AMPLE)).progress(run.id)
