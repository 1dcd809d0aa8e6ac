"""Repair of a run's mirror from its history."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from holdfast.errors import MirrorGap, StoreUnavailable
from holdfast.ops.doctor.recorded_log import UNREADABLE, RecordedLog, read_recorded_log
from holdfast.ports import RunLog, Store
from holdfast.types import MirroredRun, RunId, TranscriptRef

ATTEMPTS = 20  # an attempt fails only if the run wrote an entry meanwhile, which happens a few times a second
PAUSE = 0.1  # seconds before the second attempt; grows by as much with each attempt


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """Result of rebuilding one run's mirror."""

    run_id: RunId
    entries: int
    written: int
    """Number of entries that the mirror lacked."""
    repaired: int
    """Number of rows that were wrong."""


class Rebuilder:
    """Adds missing rows to a mirror and repairs wrong ones; correct rows stay as they are.

    Concurrent readers therefore never find fewer rows than before, and an interrupted rebuild can be repeated. The run
    may be active, and its worker may write to the mirror at the same time.

    Args:
        store: the mirror.
        run_log: reads logs from Temporal's history.
    """

    def __init__(self, store: Store, run_log: RunLog) -> None:
        self._store = store
        self._log = run_log

    async def rebuild(self, run_id: RunId) -> Rebuilt:
        """Makes the mirror of one run equal to its history.

        Raises:
            RunNotFound: Temporal does not know the run, or has deleted its first executions.
            WorkerUnavailable: no worker is running that could replay the history.
            StoreUnavailable: the mirror is unavailable, or another writer was faster at every attempt.
        """
        written = repaired = 0
        for attempt in range(ATTEMPTS):
            await asyncio.sleep(attempt * PAUSE)
            seen = await self._store.head(
                run_id
            )  # read before the history, so that the history contains at least as much
            log = await read_recorded_log(self._log, self._store, await self._log.snapshot(run_id))
            if log.head.seq < 0:
                return await self._conclude(log, seen)
            if log.has(seen) if seen else not await self._has_rows(run_id):
                written += await self._add(log, seen)
                seen = await self._store.head(run_id)
                if seen is not None and not log.has(seen):
                    continue  # the run's worker has written newer entries meanwhile
            differences = await self._store.differences(log.log())
            if not differences:
                return Rebuilt(run_id, len(log.entries), written, repaired)
            if await self._store.repair(log.log(), seen):
                repaired += len(differences)
        raise StoreUnavailable(
            f"run {run_id!r} was not rebuilt: others wrote to its mirror during each of {ATTEMPTS} attempts; try again"
        )

    async def _has_rows(self, run_id: RunId) -> bool:
        """Returns whether a run without a `run` row has other rows; an append would first delete them."""
        try:
            return bool(await self._store.entries(run_id, limit=1))
        except UNREADABLE:
            return True

    async def _conclude(self, log: RecordedLog, seen: TranscriptRef | None) -> Rebuilt:
        """Writes the row of a run that ended without recording anything."""
        run = log.snapshot.run
        if log.snapshot.ended and not await self._is_concluded(run):
            if seen is not None:
                await self._store.delete(run.summary.run_id)
            await self._store.conclude(run)
        return Rebuilt(run.summary.run_id, 0, 0, 0)

    async def _is_concluded(self, run: MirroredRun) -> bool:
        try:
            return await self._store.run(run.summary.run_id) == run
        except UNREADABLE:
            return False

    async def _add(self, log: RecordedLog, seen: TranscriptRef | None) -> int:
        """Appends the entries that the mirror lacks and returns their number; 0 if its rows do not lead to the log."""
        after = seen.seq if seen is not None and log.has(seen) else -1
        try:
            for batch in log.batches(after):
                await self._store.append(batch)
        except MirrorGap:
            return 0  # the stored rows do not lead to the log and need repair
        return len(log.entries) - 1 - after
