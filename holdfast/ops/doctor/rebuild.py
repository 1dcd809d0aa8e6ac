"""Writes the mirror of a run as its history has it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from holdfast.errors import MirrorGap, StoreUnavailable
from holdfast.ops.doctor.truth import UNREADABLE, Truth, read_truth
from holdfast.ports import RunLog, Store
from holdfast.types import MirroredRun, RunId, TranscriptRef

ATTEMPTS = 20  # each fails only if the run has gone on while it was made, as a run does a few times a second
PAUSE = 0.1  # seconds between them, growing


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A mirror that is right again, or was."""

    run_id: RunId
    entries: int
    written: int
    """Entries that the mirror lacked."""
    mended: int
    """Rows that were wrong."""


class Rebuilder:
    """Adds what a mirror lacks and mends what is wrong; what is right stays where it is.

    So nobody who reads meanwhile finds less than before, and broken off in the middle it can simply be done again. The
    run may go on, and its own worker may write to the mirror at the same time.

    Args:
        store: the mirror.
        run_log: the truth.
    """

    def __init__(self, store: Store, run_log: RunLog) -> None:
        self._store = store
        self._log = run_log

    async def rebuild(self, run_id: RunId) -> Rebuilt:
        """Makes the mirror of one run as its history has it.

        Raises:
            RunNotFound: Temporal does not know the run, or not its beginning any more.
            WorkerUnavailable: nobody is there to replay the history.
            StoreUnavailable: the mirror is away, or always somebody else was faster.
        """
        written = mended = 0
        for attempt in range(ATTEMPTS):
            await asyncio.sleep(attempt * PAUSE)
            seen = await self._store.head(run_id)  # before the history: a history that is read later has no less
            truth = await read_truth(self._log, self._store, await self._log.standing(run_id))
            if truth.head.seq < 0:
                return await self._conclude(truth, seen)
            if truth.has(seen) if seen else not await self._has_rows(run_id):
                written += await self._add(truth, seen)
                seen = await self._store.head(run_id)
                if seen is not None and not truth.has(seen):
                    continue  # the run has gone on, and its worker has written that
            flaws = await self._store.flaws(truth.log())
            if not flaws:
                return Rebuilt(run_id, len(truth.entries), written, mended)
            if await self._store.mend(truth.log(), seen):
                mended += len(flaws)
        raise StoreUnavailable(f"run {run_id!r} has other writers, who came first {ATTEMPTS} times; try again")

    async def _has_rows(self, run_id: RunId) -> bool:
        """Whether a run without a row of its own has others: an append would delete them first."""
        try:
            return bool(await self._store.entries(run_id, limit=1))
        except UNREADABLE:
            return True

    async def _conclude(self, truth: Truth, seen: TranscriptRef | None) -> Rebuilt:
        """A run that recorded nothing gets its row when it has ended."""
        run = truth.standing.run
        if truth.standing.ended and not await self._is_concluded(run):
            if seen is not None:
                await self._store.delete(run.summary.run_id)
            await self._store.conclude(run)
        return Rebuilt(run.summary.run_id, 0, 0, 0)

    async def _is_concluded(self, run: MirroredRun) -> bool:
        try:
            return await self._store.run(run.summary.run_id) == run
        except UNREADABLE:
            return False

    async def _add(self, truth: Truth, seen: TranscriptRef | None) -> int:
        """Appends what the mirror lacks, as far as it leads to the log; gives how many entries that were."""
        after = seen.seq if seen is not None and truth.has(seen) else -1
        try:
            for batch in truth.batches(after):
                await self._store.append(batch)
        except MirrorGap:
            return 0  # what is there does not lead to the log: a matter of mending
        return len(truth.entries) - 1 - after
