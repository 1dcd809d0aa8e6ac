"""Reconciliation of the mirror with runs that were ended, deleted or reset from outside."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from holdfast._util.background import repeat
from holdfast._util.concurrency import map_concurrently
from holdfast._util.logger import get_logger
from holdfast.errors import ErrorType, HoldfastError, RunNotFound
from holdfast.events import RUNS, run_event
from holdfast.ops.doctor.rebuild import Rebuilder
from holdfast.ops.doctor.recorded_log import UNREADABLE
from holdfast.ops.doctor.relatives import Relatives
from holdfast.ops.doctor.run_finder import RunFinder
from holdfast.ports import EventBus, RunLog, Store
from holdfast.ports.telemetry import NoTelemetry, Telemetry
from holdfast.protocol import RunSnapshot
from holdfast.types import MirroredRun, RunError, RunId, RunStatus

log = get_logger(__name__)

OVERLAP = timedelta(seconds=60)  # covers the lag of Temporal's visibility and differences between clocks
WIDTH = 4  # runs handled at the same time
DELETED = "its execution was deleted from Temporal"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A run whose mirror may be wrong."""

    run_id: RunId
    ended: RunStatus | None = None
    """How the listed execution ended; `None` means that it is not known."""
    is_open: bool = False
    """Whether the run is open in Temporal and not in the mirror, which may not have it yet."""


class Reconciler:
    """Periodically finds runs whose workflow could not write to the mirror, and corrects their mirror.

    - A run that was terminated, or timed out by the server, gets its end.
    - A run that was deleted from Temporal while it was open gets the status `terminated`.
    - The children of such a run are cancelled, and its parent learns of its end.
    - A run that was reset while its mirror is at rest loses the entries after the reset point.

    A round takes a listing by Temporal of open runs and one of runs that closed since the previous round and did not
    record it, one of open runs in the mirror, and one small read of the mirror for each run that differs. The first
    round, and a round after an error, covers all closed runs.

    Several workers may do this at the same time: each change is conditional on the state of the mirror, so it is made
    once. A mirror that a `MirrorCatchUp` workflow is completing is skipped.

    Args:
        finder: finds runs.
        store: the mirror.
        run_log: reads logs from Temporal's history.
        bus: receives one event for each end.
        interval: seconds between two rounds.
        relatives: learn of each end.
        telemetry: likewise.
    """

    def __init__(
        self,
        finder: RunFinder,
        store: Store,
        run_log: RunLog,
        bus: EventBus,
        *,
        interval: float,
        relatives: Relatives | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        self._finder = finder
        self._relatives = relatives
        self._telemetry = telemetry or NoTelemetry()
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

    async def _candidates(self, since: datetime | None) -> AsyncIterator[Candidate]:
        seen = set(self._to_retry)
        for run_id in list(seen):
            yield Candidate(run_id)
        async for run_id, ended in self._finder.unrecorded_ends(since):
            if run_id not in seen:
                seen.add(run_id)
                yield Candidate(run_id, ended)
        unfinished = {run_id async for run_id in self._finder.mirrored(unfinished=True)}
        running = await self._finder.running()
        for run_id in (unfinished ^ running) - seen:
            yield Candidate(run_id, is_open=run_id in running)

    async def _reconcile(self, candidate: Candidate) -> tuple[RunId, bool]:
        """Returns the run and whether its mirror was changed; a failed run is retried in the next round."""
        run_id, changed = candidate.run_id, False
        try:
            changed = await self._corrected(candidate)
        except RunNotFound:
            self._to_retry.discard(run_id)  # its history is deleted, so its end is unknown
        except HoldfastError as error:
            # An open run may be of another mirror, and each round finds it again.
            if not candidate.is_open and run_id not in self._to_retry:
                log.warning("run not reconciled yet", run_id=run_id, reason=str(error))
                self._to_retry.add(run_id)
        else:
            self._to_retry.discard(run_id)
        return run_id, changed

    async def _corrected(self, candidate: Candidate) -> bool:
        run_id, row = candidate.run_id, await self._row(candidate.run_id)
        is_final = row is not None and row.summary.status.is_final
        if candidate.is_open and not is_final:
            return False
        if row and is_final and not candidate.is_open and candidate.ended in (None, row.summary.status):
            return False
        try:
            snapshot = await self._log.snapshot(run_id)
        except RunNotFound:
            return row is not None and not is_final and await self._conclude_deleted(row)
        if not snapshot.ended:
            return await self._rejoin(snapshot, row)
        return not await self._log.is_catching_up(run_id) and await self._conclude(snapshot)

    async def _conclude(self, snapshot: RunSnapshot) -> bool:
        """Writes the end of a run."""
        run_id = snapshot.run.summary.run_id
        # First: a run with a correct mirror is not considered again.
        is_recorded = await self._has_recorded_end(snapshot.run)
        if not is_recorded:
            await self._announce(snapshot.run)
        await self._tell_relatives(snapshot.run)
        # Entries first: an append in flight, with an older summary, then has nothing to write.
        changed = False
        if snapshot.run.head.seq >= 0 and await self._store.head(run_id) != snapshot.run.head:
            changed = await self._rebuilt(run_id)
        changed |= await self._store.conclude(snapshot.run)
        if changed:
            log.info("run reconciled", run_id=run_id, status=snapshot.run.summary.status.value)
            if not is_recorded:
                await self._telemetry.run_ended_outside(snapshot.run)
        return changed

    async def _conclude_deleted(self, row: MirroredRun) -> bool:
        """Ends a run in the mirror that was open when its execution was deleted."""
        error = RunError(type=ErrorType.TERMINATED, message=DELETED)
        changes = {"status": RunStatus.TERMINATED, "error": error, "finished_at": datetime.now(UTC)}
        run = row.model_copy(update={"summary": row.summary.model_copy(update=changes)})
        await self._tell_relatives(run)
        if not await self._store.conclude(run):
            return False
        log.warning("run ended: its execution was deleted", run_id=run.summary.run_id)
        await self._telemetry.run_ended_outside(run)
        event = run_event(run.summary.run_id, run.summary.agent, RunStatus.TERMINATED)
        await self._bus.publish(RUNS, event, key=f"{run.summary.run_id}/{run.chain}/deleted")
        return True

    async def _rejoin(self, snapshot: RunSnapshot, row: MirroredRun | None) -> bool:
        """Removes from the mirror of an open run what was recorded after the point that the run was reset to."""
        if row is None or (not row.summary.status.is_final and await self._leads_on(row, snapshot)):
            return False
        log.info("the run was reset; its mirror is being corrected", run_id=row.summary.run_id)
        return await self._rebuilt(row.summary.run_id)

    async def _leads_on(self, row: MirroredRun, snapshot: RunSnapshot) -> bool:
        """Whether the newest entry in the mirror is in the run's log; the run may have recorded more since."""
        if row.head.seq < 0 or row.head == snapshot.run.head:
            return row.head == snapshot.run.head
        async for entry in self._log.entries(row.summary.run_id, row.head.seq - 1):
            return entry.ref == row.head
        return False

    async def _rebuilt(self, run_id: RunId) -> bool:
        rebuilt = await self._rebuilder.rebuild(run_id)
        return rebuilt.written + rebuilt.repaired > 0

    async def _tell_relatives(self, run: MirroredRun) -> None:
        if self._relatives is not None:
            await self._relatives.run_ended(run.summary)

    async def _has_recorded_end(self, run: MirroredRun) -> bool:
        if run.head.seq >= 0:
            async for entry in self._log.entries(run.summary.run_id, run.head.seq - 1):
                if entry.kind == "finish":
                    return True
        return False

    async def _announce(self, run: MirroredRun) -> None:
        """Publishes the end of a run that did not record it; other ends were published by the append."""
        summary = run.summary
        event = run_event(summary.run_id, summary.agent, summary.status)
        await self._bus.publish(RUNS, event, key=f"{summary.run_id}/{run.chain}/end/{summary.finished_at}")

    async def _row(self, run_id: RunId) -> MirroredRun | None:
        try:
            return await self._store.run(run_id)
        except UNREADABLE:
            return None
