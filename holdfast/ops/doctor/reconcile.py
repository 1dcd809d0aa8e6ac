"""Reconciliation of the mirror with runs that were ended from outside."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

from holdfast._util.background import repeat
from holdfast._util.concurrency import map_concurrently
from holdfast._util.logger import get_logger
from holdfast.errors import HoldfastError, RunNotFound
from holdfast.events import RUNS, run_event
from holdfast.ops.doctor.rebuild import Rebuilder
from holdfast.ops.doctor.recorded_log import UNREADABLE
from holdfast.ops.doctor.run_finder import RunFinder
from holdfast.ports import EventBus, RunLog, Store
from holdfast.types import MirroredRun, RunId

log = get_logger(__name__)

OVERLAP = timedelta(seconds=60)  # covers the lag of Temporal's visibility and differences between clocks
WIDTH = 4  # runs handled at the same time


class Reconciler:
    """Periodically finds runs that ended without recording it, and writes their end to the mirror.

    A round takes one listing by Temporal, of runs that closed since the previous round and did not record it, and one
    small read of the mirror for each. The first round, and a round after an error, covers all closed runs and the runs
    that are open in the mirror.

    Several workers may do this at the same time: each change is conditional on the state of the mirror, so it is made
    once. A mirror that a `MirrorCatchUp` workflow is completing is skipped.

    Args:
        finder: finds runs.
        store: the mirror.
        run_log: reads logs from Temporal's history.
        bus: receives one event for each end.
        interval: seconds between two rounds.
    """

    def __init__(self, finder: RunFinder, store: Store, run_log: RunLog, bus: EventBus, *, interval: float) -> None:
        self._finder = finder
        self._bus = bus
        self._store = store
        self._log = run_log
        self._rebuilder = Rebuilder(store, run_log)
        self._interval = interval
        self._since: datetime | None = None
        self._to_retry: set[RunId] = set()

    async def run(self) -> None:
        """Runs rounds until it is cancelled; an unavailable service is retried."""
        await repeat(self.round, interval=self._interval, what="reconciling runs that ended from outside")

    async def round(self) -> list[RunId]:
        """Runs one round and returns the runs whose mirror it changed.

        Raises:
            Unavailable: Temporal or the mirror is unavailable.
        """
        since, self._since = self._since, None
        now = datetime.now(UTC)
        changed_runs: list[RunId] = []
        async for run_id, change in map_concurrently(self._candidates(since), self._reconcile, WIDTH):
            if change:
                changed_runs.append(run_id)
        self._since = now - OVERLAP
        return changed_runs

    async def _candidates(self, since: datetime | None) -> AsyncIterator[RunId]:
        seen = set(self._to_retry)
        for run_id in list(seen):
            yield run_id
        async for run_id in self._finder.unrecorded_ends(since):
            if run_id not in seen:
                seen.add(run_id)
                yield run_id
        if since is None:
            unfinished = [run_id async for run_id in self._finder.mirrored(unfinished=True)]
            running = await self._finder.running() if unfinished else set()
            for run_id in unfinished:
                if run_id not in seen | running:
                    yield run_id

    async def _reconcile(self, run_id: RunId) -> tuple[RunId, bool]:
        """Returns the run and whether its mirror was changed; a failed run is retried in the next round."""
        changed = False
        try:
            changed = await self._conclude(run_id)
        except RunNotFound:
            self._to_retry.discard(run_id)  # its history is deleted, so its end is unknown
        except HoldfastError as error:
            if run_id not in self._to_retry:
                log.warning("run not reconciled yet", run_id=run_id, reason=str(error))
            self._to_retry.add(run_id)
        else:
            self._to_retry.discard(run_id)
        return run_id, changed

    async def _conclude(self, run_id: RunId) -> bool:
        if await self._is_final(run_id):
            return False
        snapshot = await self._log.snapshot(run_id)
        if not snapshot.ended or await self._log.is_catching_up(run_id):
            return False
        await self._announce(snapshot.run)  # first: a run with a correct mirror is not considered again
        # Entries first: an append in flight, with an older summary, then has nothing to write.
        changed = False
        if snapshot.run.head.seq >= 0 and await self._store.head(run_id) != snapshot.run.head:
            changed = (await self._rebuilder.rebuild(run_id)).written > 0
        changed |= await self._store.conclude(snapshot.run)
        if changed:
            log.info("run reconciled", run_id=run_id, status=snapshot.run.summary.status.value)
        return changed

    async def _announce(self, run: MirroredRun) -> None:
        """Publishes the end of a run that did not record it; other ends were published by the append."""
        summary = run.summary
        if run.head.seq >= 0:
            async for entry in self._log.entries(summary.run_id, run.head.seq - 1):
                if entry.kind == "finish":
                    return
        event = run_event(summary.run_id, summary.agent, summary.status)
        await self._bus.publish(RUNS, event, key=f"{summary.run_id}/{run.chain}/end")

    async def _is_final(self, run_id: RunId) -> bool:
        try:
            run = await self._store.run(run_id)
        except UNREADABLE:
            return False
        return run is not None and run.summary.status.is_final
