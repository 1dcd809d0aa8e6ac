"""Compares the mirror of a run with its history."""

from __future__ import annotations

import asyncio

from holdfast.errors import QueryRefused, RunNotFound, WorkerUnavailable
from holdfast.ops.doctor.report import Report, Verdict
from holdfast.ops.doctor.truth import UNREADABLE, Truth, read_truth, stored_entries
from holdfast.ports import EXTRA, MISSING, Flaw, RunLog, Store
from holdfast.protocol import Standing
from holdfast.types import EntryBatch, MirroredRun, RunId, RunSummary, TranscriptRef

LOOKS = 4  # at a run that goes on while it is looked at, before what is found is believed
PAUSE = 0.25  # seconds between them; an append takes a few milliseconds
ALL = 2**31  # entries; more than a run can have


class Verifier:
    """Says of each run whether its mirror is right.

    Args:
        store: the mirror.
        run_log: the truth.
        quick: whether to compare the newest entries and the run's row alone, in one small read of the mirror for a
            healthy run; what differs there is looked into, and damage elsewhere is not seen.
    """

    def __init__(self, store: Store, run_log: RunLog, *, quick: bool = False) -> None:
        self._store = store
        self._log = run_log
        self._quick = quick

    async def verify(self, run_id: RunId) -> Report:
        """Looks at one run.

        Raises:
            RunNotFound: neither Temporal nor the mirror knows the run.
            Unavailable: Temporal or the mirror is away.
        """
        for look in range(LOOKS):
            if look:
                await asyncio.sleep(PAUSE)
            report, is_live = await self._look(run_id)
            if report.verdict != Verdict.SICK or not is_live:
                break
        return report

    async def _look(self, run_id: RunId) -> tuple[Report, bool]:
        seen = await self._stored_run(run_id)  # before the history: a history that is read later has no less
        head = seen.head if seen else await self._store.head(run_id)
        try:
            standing = await self._log.standing(run_id)
            if self._quick and seen == standing.run:
                return Report(run_id, Verdict.HEALTHY), False
            truth = await read_truth(self._log, self._store, standing)
        except RunNotFound as gone:
            return await self._alone(run_id, str(gone)), False
        except (WorkerUnavailable, QueryRefused) as error:
            return Report(run_id, Verdict.UNCHECKED, note=str(error)), False
        return await self._compared(truth, head), not standing.ended

    async def _compared(self, truth: Truth, head: TranscriptRef | None) -> Report:
        run_id, standing = truth.standing.run.summary.run_id, truth.standing
        if truth.head.seq < 0:
            return await self._unbegun(standing, head)
        part = await self._part(truth, head)
        flaws = tuple(await self._store.flaws(part))
        is_whole = part.entries[-1].seq == truth.head.seq
        if flaws and standing.ended and await self._log.is_catching_up(run_id):
            return Report(run_id, Verdict.BEHIND, len(part.entries), note="its mirror is being completed")
        verdict = Verdict.SICK if flaws else Verdict.HEALTHY if is_whole else Verdict.BEHIND
        return Report(run_id, verdict, len(part.entries), flaws)

    async def _part(self, truth: Truth, head: TranscriptRef | None) -> EntryBatch:
        """The part of the log that the mirror is to have: for a run that goes on, that is as far as it came.

        Not less than what the mirror has acknowledged, though: that it must not lose.
        """
        standing = truth.standing
        if standing.ended or head is None or not truth.has(head) or head.seq < standing.mirrored:
            return truth.log()
        return truth.log(head.seq, None if head.seq == truth.head.seq else await self._stored_summary(standing))

    async def _stored_summary(self, standing: Standing) -> RunSummary | None:
        """What the mirror says of a run that has gone on since; only whether it agrees with itself can be told."""
        try:
            return await self._store.summary(standing.run.summary.run_id)
        except UNREADABLE:
            return None

    async def _unbegun(self, standing: Standing, head: TranscriptRef | None) -> Report:
        """A run that recorded nothing has no row until it has ended, and then that row alone."""
        run_id = standing.run.summary.run_id
        if not standing.ended:
            return Report(run_id, Verdict.BEHIND if head is None else Verdict.SICK, flaws=_extra(head))
        if await self._stored_run(run_id) == standing.run:
            return Report(run_id, Verdict.HEALTHY)
        return Report(run_id, Verdict.SICK, flaws=(Flaw("run", None, "altered: text" if head else MISSING),))

    async def _alone(self, run_id: RunId, why: str) -> Report:
        """Only the mirror has it: do its rows agree with each other?"""
        run = await self._stored_run(run_id)
        entries, torn = await stored_entries(self._store, run_id, ALL)
        if run is None and not entries and torn is None:
            raise RunNotFound(why)
        if torn:
            return Report(run_id, Verdict.SICK, len(entries), (torn,), note=why)
        if run is None:
            return Report(run_id, Verdict.SICK, len(entries), (Flaw("run", None, MISSING),), note=why)
        if not entries:
            flaws: tuple[Flaw, ...] = () if run.head.seq < 0 else (Flaw("event", 0, MISSING),)
        else:
            log = EntryBatch(run_id=run_id, chain=run.chain, previous_digest="", entries=entries, summary=run.summary)
            flaws = tuple(await self._store.flaws(log))
        return Report(run_id, Verdict.SICK if flaws else Verdict.MIRROR_ONLY, len(entries), flaws, note=why)

    async def _stored_run(self, run_id: RunId) -> MirroredRun | None:
        try:
            return await self._store.run(run_id)
        except UNREADABLE:
            return None


def _extra(head: TranscriptRef | None) -> tuple[Flaw, ...]:
    return () if head is None else (Flaw("run", None, EXTRA),)
