"""The limit on agents that execute at the same time in one worker."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from holdfast.types import RunId


class AgentSlots:
    """A run holds one slot while any of its calls is in flight; a run that waits holds none."""

    def __init__(self, limit: int) -> None:
        """
        Args:
            limit: maximum number of runs that execute at the same time.
        """
        self._free = asyncio.Semaphore(limit)
        self._calls: Counter[RunId] = Counter()
        self._entry: WeakValueDictionary[RunId, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def hold(self, run_id: RunId) -> AsyncIterator[None]:
        """Waits for the run's slot and holds it; calls of one run share it."""
        lock = self._entry.setdefault(run_id, asyncio.Lock())
        async with lock:
            if not self._calls[run_id]:
                await self._free.acquire()
            self._calls[run_id] += 1
        try:
            yield
        finally:
            self._calls[run_id] -= 1
            if not self._calls[run_id]:
                self._free.release()
                del self._calls[run_id]
