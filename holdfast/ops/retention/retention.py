"""Retention: periodic deletion of runs, payloads and events that are too old."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from temporalio.client import Client

from holdfast._util.background import repeat
from holdfast._util.logger import get_logger
from holdfast.errors import PayloadUnreadable
from holdfast.ops.retention.executions import BEGINNING, Executions
from holdfast.ops.retention.pruning import Prunable, Pruner, Retained
from holdfast.storage.files import SurrealFiles
from holdfast.storage.persistence import Persistence

log = get_logger(__name__)

INTERVAL = 3600.0  # seconds between rounds; data is retained for days, so an hour more is not noticed
FIRST = 60.0  # seconds before the first round, so that it does not slow down the start of the worker
SWEEP_INTERVAL = 86_400.0  # seconds
PAUSE = 0.05  # seconds after each deletion, in which the mirror serves active runs

Drop = Callable[[datetime], Awaitable[object]]
"""Deletes what is older than a moment."""


@dataclass(frozen=True)
class Round:
    """Result of one round."""

    dropped: int
    """Number of runs that were deleted."""
    retained: int
    """Number of runs that are as old but were retained."""


class Retention:
    """Periodically deletes runs that ended long ago. Several workers may do this at the same time.

    Args:
        pruner: finds and deletes runs; must consult Temporal.
        executions: tells since when payloads may still be referred to.
        keep_for: how long runs are retained after their end.
        payloads: delete what histories from after a moment do not refer to: payloads, entries of the ledger,
            contents of attachments.
        events: delete events from before a moment.
        files: the files of workspaces; those that no run needs are deleted.
        interval: seconds between rounds.
        first: seconds before the first round.
    """

    def __init__(
        self,
        pruner: Pruner,
        executions: Executions,
        keep_for: timedelta,
        *,
        payloads: Sequence[Drop] = (),
        events: Sequence[Drop] = (),
        files: SurrealFiles | None = None,
        interval: float = INTERVAL,
        first: float = FIRST,
    ) -> None:
        self._pruner = pruner
        self._executions = executions
        self._keep_for = keep_for
        self._payloads, self._events = payloads, events
        self._files, self._swept_at = files, -SWEEP_INTERVAL
        self._interval, self._first = interval, first

    async def run(self) -> None:
        """Runs rounds until it is cancelled; an unavailable service is retried."""
        await asyncio.sleep(self._first)
        await repeat(self.round, interval=self._interval, what="deleting runs, payloads and events that are too old")

    async def round(self) -> Round:
        """Runs one round.

        Raises:
            Unavailable: the mirror or Temporal is unavailable.
        """
        before = self._limit()
        dropped = retained = 0
        async for found in self._pruner.find(before):
            match found:
                case Prunable():
                    dropped += await self._pruner.drop(found)
                    await asyncio.sleep(PAUSE)
                case Retained():
                    retained += 1
        for drop in self._events:
            await drop(before)
        for drop in self._payloads:
            await drop(await self._executions.earliest_start_bound(before))
        await self._sweep()
        if dropped:
            log.info("deleted runs that ended long ago", runs=dropped, before=before.isoformat())
        return Round(dropped, retained)

    async def _sweep(self) -> None:
        """Deletes files that no run needs, in the first round and then once a day: it reads which files runs need."""
        if self._files is None or time.monotonic() < self._swept_at + SWEEP_INTERVAL:
            return
        try:
            await self._files.sweep()
        except PayloadUnreadable as error:
            log.warning("files of workspaces are not pruned, as it is not known which are needed", reason=str(error))
        self._swept_at = time.monotonic()

    def _limit(self) -> datetime:
        now = datetime.now(UTC)
        return now - min(self._keep_for, now - BEGINNING)


def retention(client: Client, keep_for: timedelta, persistence: Persistence) -> Retention:
    """Creates the retention for one backend.

    Args:
        client: connected to the namespace of the runs.
        keep_for: how long runs are retained after their end.
        persistence: the backend.
    """
    executions, payloads, ledger = Executions(client), persistence.payloads, persistence.ledger
    files = persistence.files
    return Retention(
        Pruner(persistence.store, executions, ledger=ledger, files=files),
        executions,
        keep_for,
        payloads=[part.prune for part in (payloads, ledger, persistence.contents) if part is not None],
        events=[persistence.bus.prune],
        files=files,
    )
