"""Forks of runs that are deleted, altered, large or elsewhere: right, or refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from holdfast.activities import workspace_copy
from holdfast.errors import MirrorDamaged, RunNotFound, UsageError
from holdfast.ops.doctor import Verdict, Verifier
from holdfast.ops.transfer.runs import RunLoader
from holdfast.storage.mirror import MemoryStore, SurrealStore, open_store
from holdfast.storage.mirror.json_text import entry_text
from holdfast.temporal.run_log import TemporalRunLog
from holdfast.types import Entry, EntryBatch, RunId, RunStatus, RunSummary
from holdfast.workflows.run.log import Log
from tests.support.dump import dump
from tests.support.lab import Lab, eventually
from tests.support.scouts import forkable, gone, scout, scouted, scouting, sent, why_refused, writer
from tests.support.short_histories import QUICK_DELETION, configured_server
from tests.support.switched_store import SwitchedStore
from tests.support.tiers import scaled


@pytest.fixture
async def forgetful(tmp_path: Path) -> AsyncIterator[Lab]:
    """A lab whose Temporal server deletes runs at once."""
    async with configured_server(tmp_path, *QUICK_DELETION) as address, Lab.open(address, tmp_path) as lab:
        yield lab


async def test_fork_after_retention(forgetful: Lab) -> None:
    """A run that Temporal has deleted is forked from the mirror, and the fork needs neither afterwards."""
    lab = forgetful
    async with forkable(lab).worker(scout):
        run = await scouted(lab)
        await gone(lab, run.id)
        lab.server.say("Still nothing.")
        fork = await run.fork(at=1)
        assert (await fork.result(60)).content == "Still nothing."
        assert sent(lab)[-1] == ("tool", "north: nothing")
        await lab.assert_mirrored(fork.id)
        assert (await Verifier(lab.store, TemporalRunLog(lab.client)).verify(fork.id)).verdict == Verdict.HEALTHY
        await lab.store.delete(run.id)
        with pytest.raises(RunNotFound, match="neither Temporal nor the mirror has it"):
            await run.fork(at=1)


def altered(entry: Entry, **changes: object) -> Entry:
    """An entry with another content, as someone who edits the database leaves it."""
    message = {**entry.data["message"], "content": "south: a palace"}
    return entry.model_copy(update={"data": {**entry.data, "message": message}, **changes})


async def alter(lab: Lab, run_id: RunId, *, edited: bool = True) -> None:
    """Edits entry 6 of a mirror, or removes it."""
    assert isinstance(lab.store, MemoryStore)
    entries = await lab.store.entries(run_id)
    entries[6:7] = [altered(entries[6])] if edited else []
    lab.store._runs[run_id].texts[:] = [entry_text(entry) for entry in entries]


@pytest.mark.parametrize("edited", [True, False], ids=["edited", "removed"])
async def test_altered_prefix_refused(lab: Lab, edited: bool) -> None:
    """A mirror in which a row was edited or removed is not copied."""
    async with forkable(lab).worker(scout):
        run = await scouted(lab)
        await alter(lab, run.id, edited=edited)
        with pytest.raises(MirrorDamaged, match=r"entry 6 in the mirror .* `doctor rebuild"):
            await run.fork(at=2)
        queue, point = lab.settings.temporal_task_queue, {"run": run.id, "at": "2"}
        by_hand = {"agent": "scout", "input": "And?", "fork": point}  # which only the worker checks
        await lab.client.start_workflow("AgentRun", by_hand, id=f"{run.id}-no", task_queue=queue)
        refused = await lab.holdfast.handle(f"{run.id}-no").result(60)
        assert refused.run.error is not None
        assert "this run cannot start: entry 6 in the mirror" in refused.run.error.message
        assert len(lab.server.requests) == 3


async def test_altered_prefix_refused_after_retention(forgetful: Lab) -> None:
    """Without a history, the digests alone decide."""
    lab = forgetful
    async with forkable(lab).worker(scout):
        run = await scouted(lab)
        await alter(lab, run.id)
        await gone(lab, run.id)
        with pytest.raises(MirrorDamaged, match="was altered"):
            await run.fork(at=3, message="Go on.")


async def test_a_mirror_whose_digests_were_made_anew_is_not_believed(lab: Lab) -> None:
    """If the mirror's digests are right but lead elsewhere than Temporal's history, the history is copied."""
    async with forkable(lab).worker(scout):
        run = await scouted(lab)
        [batch] = [batch async for batch in TemporalRunLog(lab.client).batches(run.id)]
        batch.entries[6] = altered(batch.entries[6])
        previous = batch.entries[5].digest
        for place in range(6, len(batch.entries)):
            entry = batch.entries[place]
            batch.entries[place] = Entry.chained(
                previous, seq=entry.seq, at=entry.at, kind=entry.kind, turn=entry.turn, data=entry.data
            )
            previous = batch.entries[place].digest
        await lab.store.delete(run.id)
        await lab.store.append(batch)
        lab.server.say("Nothing at all.")
        fork = await run.fork(at=2)
        assert (await fork.result(60)).content == "Nothing at all."
        assert sent(lab)[-1] == ("tool", "south: nothing")


async def test_a_prefix_that_changes_between_client_and_worker_is_refused(lab: Lab) -> None:
    """The worker copies only the entries whose digest the client has seen."""
    async with forkable(lab).worker(scout):
        run = await scouted(lab)
        point = {"run": run.id, "seq": 6, "digest": "0" * 64, "message": "Go on."}
        refused = await lab.holdfast._starter.start({"agent": "scout", "input": "x", "fork": point}, "refused")
        ended = await lab.holdfast.handle(refused).result(60)
        assert ended.run.error is not None
        assert "has another digest than the one to fork" in ended.run.error.message


async def test_parent_pruned(forgetful: Lab) -> None:
    """A fork outlives its origin: it continues, and its mirror is right, when the origin is gone everywhere."""
    lab = forgetful
    north, *_ = scouting()
    store = open_store("mem://")
    try:
        lab.store = store
        async with forkable(lab).worker(scout, store=store):
            run = await scouted(lab)
            lab.server.hold()
            lab.server.reply(north)
            lab.server.say("I made it.")
            fork = await run.fork(at=2)
            await lab.server.wait_for_requests(4)
            await gone(lab, run.id)
            await store.delete(run.id)
            lab.server.release()
            assert (await fork.result(60)).content == "I made it."
            await lab.assert_mirrored(fork.id)
            verdict = await Verifier(store, TemporalRunLog(lab.client)).verify(fork.id)
            assert verdict.verdict == Verdict.HEALTHY, verdict
            summary = await store.summary(fork.id)
            assert summary is not None
            assert summary.forked is not None
            assert summary.forked.run == run.id
    finally:
        await store.close()


async def test_a_workspace_that_is_not_there_or_too_large_is_not_copied(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fork fails with a message that says how to start it, and starts with a folder that it names."""
    project = tmp_path / "project"
    project.mkdir()
    for name in ("a.txt", "b.txt", "c.txt"):
        (project / name).write_text(name)
    async with forkable(lab).worker(writer):
        lab.server.say("Hello.")
        run = await lab.holdfast.start("writer", "Hi.", workspace=project)
        await run.result()
        monkeypatch.setattr(workspace_copy.WorkspaceCopier.__init__, "__kwdefaults__", {"max_bytes": 7, "max_files": 9})
        assert "has more than 7 bytes" in await why_refused(await run.fork(0))
        project.rename(tmp_path / "moved")
        assert "is not on this worker's machine: name a folder" in await why_refused(await run.fork(0))
        lab.server.say("Hello again.")
        fork = await run.fork(0, workspace=tmp_path / "moved")
        assert (await fork.result(60)).run.workspace == str(tmp_path / "moved")


def large_log(entries: int, size: int) -> EntryBatch:
    """The log of an ended run that has many bytes."""
    log, now = Log(), datetime.now(UTC)
    log.append("start", at=now, turn=0, data={"agent": scout.spec().model_dump(mode="json"), "request": {}})
    for seq in range(entries):
        role = "system" if seq == 0 else "user"
        message = {"seq": seq, "role": role, "content": f"{seq} " * (size // len(f"{seq} "))}
        log.append("message", at=now, turn=0, data={"message": message})
    summary = RunSummary(run_id=f"large-{entries}", agent="scout", status=RunStatus.COMPLETED, started_at=now)
    return EntryBatch(
        run_id=summary.run_id, chain="a chain", previous_digest="", entries=log.after(-1), summary=summary
    )


async def test_a_large_log_is_copied_in_pages(lab: Lab) -> None:
    """A log of megabytes becomes the fork's own, within Temporal's limits; more than is possible is refused."""
    async with forkable(lab).worker(scout, max_cached_workflows=100):
        batch = large_log(scaled(20, 60), 250_000)
        await lab.store.append(batch)
        lab.server.say("So much.")
        fork = await lab.holdfast.handle(batch.run_id).fork()
        assert (await fork.result(60)).content == "So much."
        log = [entry async for entry in fork.entries()]  # without a replay for each megabyte

        async def mirrored() -> bool:
            return await lab.store.head(fork.id) == log[-1].ref

        await eventually(mirrored)
        assert await lab.store.entries(fork.id) == log
        assert [entry.data for entry in log[2 : len(batch.entries)]] == [entry.data for entry in batch.entries[2:]]
        beyond = large_log(70, 250_000)
        await lab.store.append(beyond)
        with pytest.raises(UsageError, match="but a fork copies at most 16,000,000: fork at an earlier turn"):
            await lab.holdfast.handle(beyond.run_id).fork()


async def test_the_store_is_unavailable(lab: Lab) -> None:
    """The history is copied instead; without one, the fork waits for the store."""
    store = SwitchedStore(on=True)
    lab.store = store
    async with forkable(lab).worker(scout, store=store):
        run = await scouted(lab)
        store.on = False
        lab.server.hold()
        lab.server.say("All the same.")
        fork = await run.fork(at=2)
        await lab.server.wait_for_requests(4)
        store.on = True
        lab.server.release()
        assert (await fork.result(60)).content == "All the same."
        await lab.assert_mirrored(fork.id)


async def test_the_worker_is_replaced_while_a_fork_begins(lab: Lab) -> None:
    """A fork that no worker has begun, or whose worker is gone, begins on the next one."""
    async with forkable(lab).worker(scout):
        run = await scouted(lab)
    fork = await run.fork(at=2)
    lab.server.hold()
    lab.server.say("Here I am.")
    async with lab.worker(scout):
        await lab.server.wait_for_requests(4)
        lab.server.release()
    async with lab.worker(scout):
        assert (await fork.result(60)).content == "Here I am."
        await lab.assert_mirrored(fork.id)


async def test_a_fork_is_exported_and_imported(lab: Lab, tmp_path: Path) -> None:
    """The bundle has the fork with its origin's id; another mirror shows the edge when it has both."""
    store = lab.store = open_store("mem://")
    other = open_store(f"surrealkv://{tmp_path / 'other'}")
    try:
        async with forkable(lab).worker(scout, store=store):
            run = await scouted(lab)
            lab.server.say("A hut.")
            fork = await run.fork(at=2, message="Look again.")
            await fork.result(60)
            await lab.assert_mirrored(fork.id)
        for name in (fork.id, run.id):
            mirrored = await store.run(name)
            assert mirrored is not None
            loader = RunLoader(other)
            await loader.begin(mirrored)
            for entry in await store.entries(name):
                await loader.add(entry)
            assert loader.tally.written == 1
        assert isinstance(other, SurrealStore)
        [edge] = (await dump(other._database))["forked"]
        assert (edge["in"], edge["out"], edge["seq"]) == (f'run:"{run.id}"', f'run:"{fork.id}"', 6)
        summary = await other.summary(fork.id)
        assert summary is not None
        assert summary.forked is not None
        verdict = await Verifier(other, TemporalRunLog(lab.client)).verify(fork.id)
        assert verdict.verdict == Verdict.HEALTHY
    finally:
        await store.close()
        await other.close()
