"""The conformance suite of stores for whole runs: listing, concluding, deleting, comparing and repairing them."""

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
"""Suffixes of run ids that break statements into which ids are formatted."""


async def runs_are_paged_by_id(store: Store) -> None:
    """Each run is listed once, ordered by id, with any characters in the id."""
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
    same(
        [run_id for run_id in open_ids if run_id in ids],
        sorted(expected),
        "only runs without a final status are unfinished",
    )
    same(await store.runs(limit=0), [], "a page of nothing")
    same(await store.runs(after="\U0010ffff" * 5), [], "a page beyond the last run")


async def a_run_is_read_in_one_call(store: Store) -> None:
    """`run` returns row, chain and head; `None` for an unknown run."""
    run = SampleRun(turns=2, chain="some chain")
    same(await store.run(run.run_id), None, "an unknown run is None")
    await store.append(run.batch())
    same(await store.run(run.run_id), _mirrored(run), "the run as it was appended")
    same(await store.is_complete(_mirrored(run)), True, "all of its entries are there")
    await store.append(SampleRun(turns=3, run_id=run.run_id, chain="some chain", started_at=run.started_at).batch())
    same(await store.is_complete(_mirrored(run)), False, "there are more entries than its head says")


async def a_run_is_concluded_once(store: Store) -> None:
    """The row gets the final status and nothing else changes; a second call changes nothing."""
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


async def a_run_that_continued_is_not_concluded(store: Store) -> None:
    """Concluding requires the newest entry of the current execution."""
    run = SampleRun(turns=2)
    await store.append(run.batch(0, 4))
    ended = _ended(run)
    require(not await store.conclude(ended), "a run that is behind is not concluded")
    await store.append(run.batch(4))
    other = ended.model_copy(update={"chain": "another chain"})
    require(not await store.conclude(other), "another chain's end is refused")
    unknown = _ended(SampleRun(turns=1))
    require(not await store.conclude(unknown), "a run that is not there is not concluded")
    same(await store.run(unknown.summary.run_id), None, "nothing is made of it")
    same(await store.run(run.run_id), _mirrored(run), "a refused conclusion leaves no trace")


async def a_run_that_recorded_nothing_gets_a_row(store: Store) -> None:
    """It has a row with its final status; a new execution of the id replaces it."""
    run = SampleRun(turns=2, started_at=datetime.now(UTC) + timedelta(seconds=1))
    ended = _ended(run).model_copy(update={"chain": "unbegun", "head": TranscriptRef(seq=-1, digest="")})
    ended.summary.started_at -= timedelta(seconds=1)
    require(await store.conclude(ended), "it is concluded")
    require(not await store.conclude(ended), "once")
    same(await store.run(run.run_id), ended, "its row says so")
    same(await store.entries(run.run_id), [], "it has no entries")
    same(await store.append(run.batch()), run.head, "a new execution begins")
    same(await store.run(run.run_id), _mirrored(run), "and takes the row over")


async def a_run_is_deleted_completely(store: Store) -> None:
    """All its rows are deleted, other runs are not affected, and it can be written again."""
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


async def a_run_that_continued_is_not_deleted(store: Store) -> None:
    """A run is deleted only if its head is the one that was seen."""
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


async def a_mirror_is_compared_with_its_log(store: Store) -> None:
    """Appended runs have no differences; missing, extra and altered rows are reported and repaired."""
    for run_id in _hostile_ids():
        run = SampleRun(turns=3, run_id=run_id)
        other = SampleRun(turns=3, run_id=run_id, started_at=run.started_at, differs_from=5)
        for first in range(0, len(run.entries), 4):
            await store.append(run.batch(first, first + 4))
        same(await store.differences(run.batch()), [], "what was appended has no difference")
        missing = [row for row in await store.differences(other.batch()) if row.table == "event"]
        same(
            [row.seq for row in missing],
            list(range(5, len(run.entries))),
            "entries that differ are named",
        )
        extra = [row for row in await store.differences(run.batch(0, 6)) if row.table == "event"]
        same(
            [row.seq for row in extra],
            list(range(6, len(run.entries))),
            "entries beyond the log are named",
        )
        require(not await store.repair(other.batch(), run.entries[2].ref), "a repair with another head is rejected")
        same(await store.differences(run.batch()), [], "and changes nothing")
        require(await store.repair(other.batch(), run.head), "a repair with the current head is applied")
        same(await store.differences(other.batch()), [], "what was repaired has no difference")
        same(await store.entries(run_id), other.entries, "and is read as the log has it")


async def repairing_writes_missing_rows(store: Store) -> None:
    """Every row of an unknown run is missing, and repairing writes it."""
    run = SampleRun(turns=2)
    require(len(await store.differences(run.batch())) >= len(run.entries), "every row is missing")
    require(await store.repair(run.batch(), None), "they are written")
    same(await store.run(run.run_id), _mirrored(run), "the run is there")
    same(await store.messages(run.run_id), run.messages, "with its messages")
    same(await store.append(run.batch()), run.head, "and nothing is left to append")
    await refused(store.repair(run.batch().model_copy(update={"entries": []}), None), UsageError)


RUN_CHECKS = (
    runs_are_paged_by_id,
    a_run_is_read_in_one_call,
    a_run_is_concluded_once,
    a_run_that_continued_is_not_concluded,
    a_run_that_recorded_nothing_gets_a_row,
    a_run_is_deleted_completely,
    a_run_that_continued_is_not_deleted,
    a_mirror_is_compared_with_its_log,
    repairing_writes_missing_rows,
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
