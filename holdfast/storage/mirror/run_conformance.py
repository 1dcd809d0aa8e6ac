"""What every store must do with runs as a whole: list, conclude, forget, hold them against their logs, repair them."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

from holdfast.errors import ErrorType, UsageError
from holdfast.ports import Store
from holdfast.storage.assertions import refused, require, same
from holdfast.storage.mirror.sample import SampleRun
from holdfast.types import MirroredRun, RunError, RunId, RunStatus, TranscriptRef

HOSTILE_ENDS = (
    "",
    "'",
    "⟩",
    "\\⟩",
    "`",
    ":x",
    "a:b",
    "', 0]..['",
    "/a b\n",
    "..",
    "$after",
    "漢",
    "\U0001f600",
    "1" * 1000,
)
"""Ends of run ids, each a trap for whoever puts ids into statements."""


async def runs_come_in_pages_by_id(store: Store) -> None:
    """Each run comes once, in the order of ids, whatever the ids are made of."""
    ids = _hostile_ids()
    for number, run_id in enumerate(ids):
        status = RunStatus.COMPLETED if number % 2 else RunStatus.RUNNING
        await store.append(SampleRun(turns=1, run_id=run_id, status=status).batch())
    found = [run.summary.run_id for run in await _all_runs(store, page=4)]
    same([run_id for run_id in found if run_id in ids], sorted(ids), "runs come once each, ordered by id")
    same(found, sorted(found), "runs are ordered by id")
    same(await _all_ids(store, unfinished=False), found, "ids come as runs do")
    open_ids = await _all_ids(store, unfinished=True)
    expected = [run_id for number, run_id in enumerate(ids) if number % 2 == 0]
    same([run_id for run_id in open_ids if run_id in ids], sorted(expected), "only runs that go on are unfinished")
    same(await store.runs(limit=0), [], "a page of nothing")
    same(await store.runs(after="\U0010ffff" * 5), [], "a page beyond the last run")


async def a_run_is_told_in_one_read(store: Store) -> None:
    """`run` gives row, chain and head; None for a run that was never written."""
    run = SampleRun(turns=2, chain="some life")
    same(await store.run(run.run_id), None, "an unknown run is None")
    await store.append(run.batch())
    same(await store.run(run.run_id), _mirrored(run), "the run as it was appended")


async def a_run_is_concluded_once(store: Store) -> None:
    """Its row gets the end and nothing else changes; the second conclusion finds it done."""
    for run_id in _hostile_ids():
        run = SampleRun(turns=2, run_id=run_id)
        await store.append(run.batch())
        ended = _ended(run)
        answers = await asyncio.gather(*(store.conclude(ended) for _ in range(3)))
        same(sorted(answers), [False, False, True], "of several that conclude a run, one does")
        same(await store.run(run_id), ended, "the row says how the run ended")
        same(await store.entries(run_id), run.entries, "entries are as they were")
        await store.append(run.batch())
        same(await store.run(run_id), ended, "a late append does not take the end back")


async def a_run_that_went_on_is_not_concluded(store: Store) -> None:
    """Whoever concludes must have seen the newest entry of the present life."""
    run = SampleRun(turns=2)
    await store.append(run.batch(0, 4))
    ended = _ended(run)
    require(not await store.conclude(ended), "a run that is behind is not concluded")
    await store.append(run.batch(4))
    other = ended.model_copy(update={"chain": "another life"})
    require(not await store.conclude(other), "another life's end is refused")
    unknown = _ended(SampleRun(turns=1))
    require(not await store.conclude(unknown), "a run that is not there is not concluded")
    same(await store.run(unknown.summary.run_id), None, "nothing is made of it")
    same(await store.run(run.run_id), _mirrored(run), "a refused conclusion leaves no trace")


async def a_run_that_recorded_nothing_gets_a_row(store: Store) -> None:
    """It is there with its end; a new life under its id takes over."""
    run = SampleRun(turns=2, started_at=datetime.now(UTC) + timedelta(seconds=1))
    ended = _ended(run).model_copy(update={"chain": "unbegun", "head": TranscriptRef(seq=-1, digest="")})
    ended.summary.started_at -= timedelta(seconds=1)
    require(await store.conclude(ended), "it is concluded")
    require(not await store.conclude(ended), "once")
    same(await store.run(run.run_id), ended, "its row says so")
    same(await store.entries(run.run_id), [], "it has no entries")
    same(await store.append(run.batch()), run.head, "a new life begins")
    same(await store.run(run.run_id), _mirrored(run), "and takes the row over")


async def a_run_is_forgotten_whole(store: Store) -> None:
    """Nothing of it stays, its neighbours stay untouched, and it can be written again."""
    runs = [SampleRun(turns=2, run_id=run_id) for run_id in _hostile_ids()]
    for run in runs:
        await store.append(run.batch())
    for number, run in enumerate(runs):
        await store.delete(run.run_id)
        await store.delete(run.run_id)
        same(await store.run(run.run_id), None, "its row is gone")
        same(await store.entries(run.run_id), [], "its entries are gone")
        same(await store.messages(run.run_id), [], "its messages are gone")
        if number + 1 < len(runs):
            same(await store.entries(runs[number + 1].run_id), runs[number + 1].entries, "its neighbour is there")
    same(await store.append(runs[0].batch()), runs[0].head, "it can be written again")
    same(await store.differences(runs[0].batch()), [], "and is whole")


async def a_run_that_went_on_is_not_forgotten(store: Store) -> None:
    """Who decides on what was seen forgets that, and nothing newer."""
    run = SampleRun(turns=2)
    await store.append(run.batch(0, 4))
    seen = run.entries[3].ref
    await store.append(run.batch(4))
    await store.delete(run.run_id, seen=seen)
    same(await store.entries(run.run_id), run.entries, "it is there, whole")
    await store.delete(run.run_id, seen=run.head)
    same(await store.run(run.run_id), None, "its row is gone")
    same(await store.entries(run.run_id), [], "its entries are gone")
    await store.delete(run.run_id, seen=run.head)


async def a_mirror_is_held_against_its_log(store: Store) -> None:
    """What was appended, in whatever batches, has no difference; what is missing or other is named and repaired."""
    for run_id in _hostile_ids():
        run = SampleRun(turns=3, run_id=run_id)
        other = SampleRun(turns=3, run_id=run_id, started_at=run.started_at, differs_from=5)
        for first in range(0, len(run.entries), 4):
            await store.append(run.batch(first, first + 4))
        same(await store.differences(run.batch()), [], "what was appended has no difference")
        missing = [difference for difference in await store.differences(other.batch()) if difference.table == "event"]
        same(
            [difference.seq for difference in missing],
            list(range(5, len(run.entries))),
            "entries that differ are named",
        )
        extra = [difference for difference in await store.differences(run.batch(0, 6)) if difference.table == "event"]
        same(
            [difference.seq for difference in extra],
            list(range(6, len(run.entries))),
            "entries beyond the log are named",
        )
        require(not await store.repair(other.batch(), run.entries[2].ref), "who saw another head does not repair")
        same(await store.differences(run.batch()), [], "and changes nothing")
        require(await store.repair(other.batch(), run.head), "who saw the head repairs")
        same(await store.differences(other.batch()), [], "what was repaired has no difference")
        same(await store.entries(run_id), other.entries, "and is read as the log has it")


async def repairing_writes_what_is_not_there(store: Store) -> None:
    """A run that the mirror does not know is a run with every row missing."""
    run = SampleRun(turns=2)
    require(len(await store.differences(run.batch())) >= len(run.entries), "every row is missing")
    require(await store.repair(run.batch(), None), "they are written")
    same(await store.run(run.run_id), _mirrored(run), "the run is there")
    same(await store.messages(run.run_id), run.messages, "with its messages")
    same(await store.append(run.batch()), run.head, "and nothing is left to append")
    await refused(store.repair(run.batch().model_copy(update={"entries": []}), None), UsageError)


RUN_CHECKS = (
    runs_come_in_pages_by_id,
    a_run_is_told_in_one_read,
    a_run_is_concluded_once,
    a_run_that_went_on_is_not_concluded,
    a_run_that_recorded_nothing_gets_a_row,
    a_run_is_forgotten_whole,
    a_run_that_went_on_is_not_forgotten,
    a_mirror_is_held_against_its_log,
    repairing_writes_what_is_not_there,
)


def _hostile_ids() -> list[RunId]:
    unique = uuid.uuid4().hex
    return [f"{unique}{end}" for end in HOSTILE_ENDS]


def _mirrored(run: SampleRun) -> MirroredRun:
    return MirroredRun(summary=run.batch().summary, chain=run.chain, head=run.head)


def _ended(run: SampleRun) -> MirroredRun:
    error = RunError(type=ErrorType.TERMINATED, message="no time for ⟩ and '")
    end = {"status": RunStatus.TERMINATED, "finished_at": datetime.now(UTC), "error": error}
    return _mirrored(run).model_copy(update={"summary": run.batch().summary.model_copy(update=end)})


async def _all_runs(store: Store, page: int) -> list[MirroredRun]:
    found: list[MirroredRun] = []
    while runs := await store.runs(found[-1].summary.run_id if found else None, page):
        found += runs
    return found


async def _all_ids(store: Store, *, unfinished: bool) -> list[RunId]:
    found: list[RunId] = []
    while ids := await store.run_ids(found[-1] if found else None, 5, unfinished=unfinished):
        found += ids
    return found
