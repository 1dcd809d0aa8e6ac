"""Drops what is older than it is to be kept, by itself and in small pieces."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from temporalio.client import Client

from holdfast._util.background import repeat
from holdfast._util.logger import get_logger
from holdfast.ops.retention.executions import BEGINNING, Executions
from holdfast.ops.retention.pruning import Doomed, Pruner, Spared
from holdfast.storage.persistence import Persistence

log = get_logger(__name__)

INTERVAL = 3600.0  # seconds between two rounds: nobody counts on an hour of what is kept for days
FIRST = 60.0  # seconds before the first: a worker that starts has better things to do
JITTER = 0.2  # part of the interval, off it: workers do not begin all at once
PAUSE = 0.05  # seconds after each run that goes: the mirror of those that go on comes first

Drop = Callable[[datetime], Awaitable[object]]
"""Drops what is older than a moment."""


@dataclass(frozen=True)
class Round:
    """What a round did."""

    dropped: int
    """Runs."""
    spared: int
    """Runs that are as old, and stay."""


class Retention:
    """Looks at intervals for runs that ended long ago. Any number of workers may do this.

    Args:
        pruner: finds and drops them; has to ask Temporal.
        executions: tells from when on payloads may still be referred to.
        keep_for: how long what has ended stays.
        payloads: drop those that were last stored before a moment.
        events: drop those of before a moment.
        interval: seconds between two rounds.
        first: seconds before the first.
    """

    def __init__(
        self,
        pruner: Pruner,
        executions: Executions,
        keep_for: timedelta,
        *,
        payloads: Sequence[Drop] = (),
        events: Sequence[Drop] = (),
        interval: float = INTERVAL,
        first: float = FIRST,
    ) -> None:
        self._pruner = pruner
        self._executions = executions
        self._keep_for = keep_for
        self._payloads, self._events = payloads, events
        self._interval, self._first = interval, first

    async def run(self) -> None:
        """Goes on until it is cancelled; whatever is away is waited for."""
        await asyncio.sleep(self._first)
        await repeat(self.round, interval=self._interval, what="dropping what is older than it is to be kept")

    async def round(self) -> Round:
        """Drops once what is too old now.

        Raises:
            Unavailable: the mirror or Temporal is away.
        """
        before = self._limit()
        dropped = spared = 0
        async for found in self._pruner.find(before):
            match found:
                case Doomed():
                    dropped += await self._pruner.drop(found)
                    await asyncio.sleep(PAUSE)
                case Spared():
                    spared += 1
        for drop in self._events:
            await drop(before)
        for drop in self._payloads:
            await drop(await self._executions.nothing_before(before))
        if dropped:
            log.info("runs that ended long ago were dropped", runs=dropped, before=before.isoformat())
        return Round(dropped, spared)

    def _limit(self) -> datetime:
        now = datetime.now(UTC)
        return now - min(self._keep_for, now - BEGINNING)


def retention(client: Client, keep_for: timedelta, persistence: Persistence) -> Retention:
    """The retention of everything that is kept on one backend.

    Args:
        client: connected to the namespace of the runs.
        keep_for: how long what has ended stays.
        persistence: what it is dropped from.
    """
    executions, payloads = Executions(client), persistence.payloads
    return Retention(
        Pruner(persistence.store, executions),
        executions,
        keep_for,
        payloads=[payloads.prune] if payloads is not None else [],
        events=[persistence.bus.prune],
    )
