"""Gives runs that were ended from outside their true end in the mirror, by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

from holdfast._util.background import repeat
from holdfast._util.concurrency import map_concurrently
from holdfast._util.logger import get_logger
from holdfast.errors import HoldfastError, RunNotFound
from holdfast.events import RUNS, run_event
from holdfast.ops.doctor.rebuild import Rebuilder
from holdfast.ops.doctor.run_finder import RunFinder
from holdfast.ops.doctor.truth import UNREADABLE
from holdfast.ports import EventBus, RunLog, Store
from holdfast.types import MirroredRun, RunId

log = get_logger(__name__)

JITTER = 0.2  # part of the interval, off it: workers do not look all at once, and the first to look does the work
OVERLAP = timedelta(seconds=60)  # what a list of closed runs may lag behind, and clocks may differ
WIDTH = 4  # runs at once


class Reconciler:
    """Looks at intervals for runs that have ended without a word, and writes what became of them.

    A round costs one list of Temporal's, of runs that closed since the round before and did not record it, and one
    small read of the mirror for each of them. The first round, and one after an error, looks at everything: also at
    what the mirror believes to be open.

    Any number of workers may do this. Each change is conditional on what the mirror has, so that it is made once;
    others find it made. A mirror that a workflow is completing (`MirrorCatchUp`) is left to it.

    Args:
        finder: finds runs.
        store: the mirror.
        run_log: the truth.
        bus: is told of each end, once.
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
        self._again: set[RunId] = set()

    async def run(self) -> None:
        """Goes on until it is cancelled; whatever is away is waited for."""
        await repeat(self.round, interval=self._interval, what="looking for runs that ended from outside")

    async def round(self) -> list[RunId]:
        """Looks once; gives the runs whose mirror it changed.

        Raises:
            Unavailable: Temporal or the mirror is away.
        """
        since, self._since = self._since, None
        now = datetime.now(UTC)
        settled: list[RunId] = []
        async for run_id, change in map_concurrently(self._doubtful(since), self._settle, WIDTH):
            if change:
                settled.append(run_id)
        self._since = now - OVERLAP
        return settled

    async def _doubtful(self, since: datetime | None) -> AsyncIterator[RunId]:
        seen = set(self._again)
        for run_id in list(seen):
            yield run_id
        async for run_id in self._finder.ended_silently(since):
            if run_id not in seen:
                seen.add(run_id)
                yield run_id
        if since is None:
            unfinished = [run_id async for run_id in self._finder.mirrored(unfinished=True)]
            running = await self._finder.running() if unfinished else set()
            for run_id in unfinished:
                if run_id not in seen | running:
                    yield run_id

    async def _settle(self, run_id: RunId) -> tuple[RunId, bool]:
        """Whether the mirror was changed; what could not be done is tried again with the next round."""
        changed = False
        try:
            changed = await self._conclude(run_id)
        except RunNotFound:
            self._again.discard(run_id)  # nobody can know any more how it ended
        except HoldfastError as error:
            if run_id not in self._again:
                log.warning("the end of a run is not in the mirror yet", run_id=run_id, reason=str(error))
            self._again.add(run_id)
        else:
            self._again.discard(run_id)
        return run_id, changed

    async def _conclude(self, run_id: RunId) -> bool:
        if await self._is_final(run_id):
            return False
        standing = await self._log.standing(run_id)
        if not standing.ended or await self._log.is_catching_up(run_id):
            return False
        await self._announce(standing.run)  # first: once the mirror is right, nobody looks at the run again
        # Entries first: an append that is still on its way then finds nothing to write, with a summary from before.
        changed = False
        if standing.run.head.seq >= 0 and await self._store.head(run_id) != standing.run.head:
            changed = (await self._rebuilder.rebuild(run_id)).written > 0
        changed |= await self._store.conclude(standing.run)
        if changed:
            log.info("the mirror has the end of a run", run_id=run_id, status=standing.run.summary.status.value)
        return changed

    async def _announce(self, run: MirroredRun) -> None:
        """Says how a run ended that could not record it; of others the append has said so."""
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
