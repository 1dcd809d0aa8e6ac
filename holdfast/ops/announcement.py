"""A periodic task that tells clients which agents this worker serves."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import suppress

from holdfast._util.background import repeat
from holdfast.errors import StoreUnavailable
from holdfast.ports.registry import ServedAgents

INTERVAL = 600.0  # seconds; the row changes only if the database was replaced meanwhile
GOODBYE_TIMEOUT = 2.0  # seconds that a shutdown may wait for the database


class Announcement:
    """Announces the agents of this worker until it is cancelled, and then that it serves none.

    Args:
        served: receives the announcements.
        task_queue: the task queue of this worker.
        worker: its identity in Temporal.
        agents: names of its agents.
    """

    def __init__(self, served: ServedAgents, task_queue: str, worker: str, agents: Collection[str]) -> None:
        self._served = served
        self._task_queue = task_queue
        self._worker = worker
        self._agents = agents

    async def run(self) -> None:
        """Announces periodically; waits while the database is unavailable."""
        try:
            await repeat(lambda: self._announce(self._agents), interval=INTERVAL, what="announcing the agents")
        finally:
            with suppress(StoreUnavailable, TimeoutError):
                async with asyncio.timeout(GOODBYE_TIMEOUT):
                    await self._announce(())

    async def _announce(self, agents: Collection[str]) -> None:
        await self._served.announce(self._task_queue, self._worker, agents)
