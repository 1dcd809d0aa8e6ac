"""Verification of a run's mirror against its history."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from holdfast.errors import QueryRefused, RunNotFound, WorkerUnavailable
from holdfast.ops.doctor.files import lost_files
from holdfast.ops.doctor.recorded_log import UNREADABLE, RecordedLog, read_recorded_log, stored_entries
from holdfast.ops.doctor.report import Report, Verdict, concerns_one_run
from holdfast.ports import EXTRA, MISSING, RowDifference, RunLog, Store
from holdfast.ports.ledger import Ledger
from holdfast.protocol import RunSnapshot
from holdfast.storage.files import SurrealFiles
from holdfast.types import EntryBatch, MirroredRun, RunId, RunSummary, TranscriptRef

ATTEMPTS = 4  # an active run may write while it is compared; damage is reported only if each attempt finds some
PAUSE = 0.25  # seconds between attempts; an append takes a few milliseconds
ALL = 2**31  # entries; more than any run has


class Verifier:
    """Checks whether the mirrors of runs match their histories.

    Args:
        store: the mirror.
        run_log: reads logs from Temporal's history.
        quick: compare only the run's row, the newest entry and the number of entries, which reads little of a healthy
            run. A difference there leads to a full comparison; an altered row elsewhere is not detected.
        ledger: lists the lost calls of each run; `None` lists none.
        files: the files of workspaces, which are checked unless it is quick; `None` checks none.
    """

    def __init__(
        self,
        store: Store,
        run_log: RunLog,
        *,
        quick: bool = False,
        ledger: Ledger | None = None,
        files: SurrealFiles | None = None,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._files = files
        self._log = run_log
        self._quick = quick

    async def verify(self, run_id: RunId) -> Report:
        """Checks one run.

        Raises:
            RunNotFound: neither Temporal nor the mirror knows the run.
            Unavailable: Temporal or the mirror is unavailable.
        """
        for attempt in range(ATTEMPTS):
            if attempt:
                await asyncio.sleep(PAUSE)
            report, is_live = await self._attempt(run_id)
            if report.verdict != Verdict.DAMAGED or not is_live:
                break
        return replace(report, lost_calls=await self._lost_calls(run_id), lost_files=await self._lost_files(run_id))

    async def report(self, run_id: RunId) -> Report:
        """Checks one of many runs; a run that cannot be checked is `unchecked`, so that the others can be.

        Raises:
            Unavailable: Temporal or the mirror is unavailable.
        """
        try:
            return await self.verify(run_id)
        except Exception as error:
            if not concerns_one_run(error):
                raise
            return Report(run_id, Verdict.UNCHECKED, note=str(error) or type(error).__name__)

    async def _attempt(self, run_id: RunId) -> tuple[Report, bool]:
        seen = await self._stored_run(run_id)  # read before the history, so that the history contains at least as much
        head = seen.head if seen else await self._store.head(run_id)
        try:
            snapshot = await self._log.snapshot(run_id)
            if self._quick and seen == snapshot.run and await self._store.is_complete(seen):
                return Report(run_id, Verdict.HEALTHY), False
            log = await read_recorded_log(self._log, self._store, snapshot)
        except RunNotFound as gone:
            return await self._mirror_only(run_id, str(gone)), False
        except (WorkerUnavailable, QueryRefused) as error:
            return Report(run_id, Verdict.UNCHECKED, note=str(error)), False
        return await self._compared(log, head), not snapshot.ended

    async def _compared(self, log: RecordedLog, head: TranscriptRef | None) -> Report:
        run_id, snapshot = log.snapshot.run.summary.run_id, log.snapshot
        if log.head.seq < 0:
            return await self._without_entries(snapshot, head)
        part = await self._part(log, head)
        differences = tuple(await self._store.differences(part))
        is_whole = part.entries[-1].seq == log.head.seq
        if differences and snapshot.ended and await self._log.is_catching_up(run_id):
            return Report(run_id, Verdict.BEHIND, len(part.entries), note="its mirror is being completed")
        verdict = Verdict.DAMAGED if differences else Verdict.HEALTHY if is_whole else Verdict.BEHIND
        return Report(run_id, verdict, len(part.entries), differences)

    async def _part(self, log: RecordedLog, head: TranscriptRef | None) -> EntryBatch:
        """Returns the part of the log that the mirror should contain.

        The mirror of an active run may lag behind, but never behind the entry that it has acknowledged.
        """
        snapshot = log.snapshot
        if snapshot.ended or head is None or not log.has(head) or head.seq < snapshot.mirrored:
            return log.log()
        return log.log(head.seq, None if head.seq == log.head.seq else await self._stored_summary(snapshot))

    async def _stored_summary(self, snapshot: RunSnapshot) -> RunSummary | None:
        """Returns the mirror's own summary of a run that is ahead of it, to check its rows against."""
        try:
            return await self._store.summary(snapshot.run.summary.run_id)
        except UNREADABLE:
            return None

    async def _without_entries(self, snapshot: RunSnapshot, head: TranscriptRef | None) -> Report:
        """Checks a run that recorded nothing: it has no rows until it ends, and then only its `run` row."""
        run_id = snapshot.run.summary.run_id
        if not snapshot.ended:
            return Report(run_id, Verdict.BEHIND if head is None else Verdict.DAMAGED, differences=_extra(head))
        if await self._stored_run(run_id) == snapshot.run:
            return Report(run_id, Verdict.HEALTHY)
        return Report(
            run_id, Verdict.DAMAGED, differences=(RowDifference("run", None, "altered: text" if head else MISSING),)
        )

    async def _mirror_only(self, run_id: RunId, reason: str) -> Report:
        """Checks whether the rows of a run that only the mirror has agree with each other."""
        run = await self._stored_run(run_id)
        entries, torn = await stored_entries(self._store, run_id, ALL)
        if run is None and not entries and torn is None:
            raise RunNotFound(reason)
        if torn:
            return Report(run_id, Verdict.DAMAGED, len(entries), (torn,), note=reason)
        if run is None:
            return Report(run_id, Verdict.DAMAGED, len(entries), (RowDifference("run", None, MISSING),), note=reason)
        if not entries:
            differences: tuple[RowDifference, ...] = () if run.head.seq < 0 else (RowDifference("event", 0, MISSING),)
        else:
            log = EntryBatch(run_id=run_id, chain=run.chain, previous_digest="", entries=entries, summary=run.summary)
            differences = tuple(await self._store.differences(log))
        return Report(
            run_id, Verdict.DAMAGED if differences else Verdict.MIRROR_ONLY, len(entries), differences, note=reason
        )

    async def _lost_calls(self, run_id: RunId) -> tuple[str, ...]:
        run = None if self._ledger is None or self._quick else await self._stored_run(run_id)
        if self._ledger is None or run is None:
            return ()
        return tuple(map(str, await self._ledger.lost(run_id, run.chain)))

    async def _lost_files(self, run_id: RunId) -> tuple[str, ...]:
        if self._files is None or self._quick:
            return ()
        return await lost_files(self._store, self._files, run_id)

    async def _stored_run(self, run_id: RunId) -> MirroredRun | None:
        try:
            return await self._store.run(run_id)
        except UNREADABLE:
            return None


def _extra(head: TranscriptRef | None) -> tuple[RowDifference, ...]:
    return () if head is None else (RowDifference("run", None, EXTRA),)
