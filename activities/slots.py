"""The limit on agents that execute at the same time in one worker."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from weakref import WeakValueDictionary

from temporalio import activity
from temporalio.exceptions import ApplicationError

from holdfast import names
from holdfast.activities.failures import EXPECTED
from holdfast.activities.heartbeat import heartbeats
from holdfast.types import RunId

LINGER = 2.0  # seconds between two calls of a run, which takes milliseconds unless another worker has the next call
MAX_WAITING = 50  # runs; each occupies one of the activities that a worker executes at once
RETRY_DELAY = timedelta(seconds=2)  # before a run beyond these asks again


class NoSlot(Exception):
    """No slot is free."""


class Slot:
    """The slot of a run, held by one of its calls."""

    def __init__(self) -> None:
        self.is_kept = False
        self.is_lent = False
        """Whether the call has given it back, as it waits for other runs."""

    def keep(self, *, is_kept: bool = True) -> None:
        """Keeps the slot for the next call of the run, which follows soon."""
        self.is_kept = is_kept


class AgentSlots:
    """A run holds one slot while any of its calls is in flight, and between them; a run that waits holds none.

    A slot that is kept for a call that does not come, as another worker has it or the run has ended, is freed after a
    moment.

    Args:
        limit: maximum number of runs that execute at the same time.
        linger: seconds for which a slot is kept for the next call.
    """

    def __init__(self, limit: int, linger: float = LINGER) -> None:
        self._free = asyncio.Semaphore(limit)
        self._linger = linger
        self._calls: Counter[RunId] = Counter()
        self._kept: dict[RunId, asyncio.TimerHandle] = {}
        self._entry: WeakValueDictionary[RunId, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def hold(self, run_id: RunId, *, waits: bool = True) -> AsyncIterator[Slot]:
        """Waits for the run's slot and holds it; calls of one run share it.

        Raises:
            NoSlot: none is free, and `waits` is False.
        """
        if not waits and not self._is_available(run_id):
            raise NoSlot
        await self._take(run_id)
        slot = Slot()
        try:
            yield slot
        finally:
            if not slot.is_lent:
                self._give_back(run_id, is_kept=slot.is_kept)

    @asynccontextmanager
    async def lend(self, run_id: RunId, slot: Slot) -> AsyncIterator[None]:
        """Gives back the slot that a call of a run holds while the body runs, which only waits for other runs."""
        self._give_back(run_id, is_kept=False)
        slot.is_lent = True
        try:
            yield
        finally:
            await self._take(run_id)
            slot.is_lent = False

    async def reserve(self, run_id: RunId) -> bool:
        """Keeps a slot for the first call of a run; returns False if none is free."""
        try:
            async with self.hold(run_id, waits=False) as slot:
                slot.keep()
        except NoSlot:
            return False
        return True

    async def _take(self, run_id: RunId) -> None:
        async with self._entry.setdefault(run_id, asyncio.Lock()):
            if not self._has(run_id):
                await self._free.acquire()
            self._calls[run_id] += 1
            self._end_linger(run_id)

    def _give_back(self, run_id: RunId, *, is_kept: bool) -> None:
        self._calls[run_id] -= 1
        if not self._calls[run_id]:
            del self._calls[run_id]
            self._leave(run_id, is_kept=is_kept)

    def _is_available(self, run_id: RunId) -> bool:
        return self._has(run_id) or not self._free.locked()

    def _has(self, run_id: RunId) -> bool:
        return run_id in self._kept or self._calls[run_id] > 0

    def _end_linger(self, run_id: RunId) -> None:
        if kept := self._kept.pop(run_id, None):
            kept.cancel()

    def _leave(self, run_id: RunId, *, is_kept: bool) -> None:
        if is_kept:
            self._kept[run_id] = asyncio.get_running_loop().call_later(self._linger, self._expire, run_id)
        else:
            self._free.release()

    def _expire(self, run_id: RunId) -> None:
        del self._kept[run_id]
        self._free.release()


class SlotActivities:
    """Waits for a slot on behalf of a run, which says meanwhile that it waits.

    Args:
        slots: the slots of the worker.
        max_waiting: maximum number of runs that wait here. Further ones try again later, as each wait occupies one of
            the activities that the worker executes at once, which the runs with a slot need.
    """

    def __init__(self, slots: AgentSlots, max_waiting: int = MAX_WAITING) -> None:
        self._slots = slots
        self._max_waiting = max_waiting
        self._waiting = 0

    @activity.defn(name=names.RUN_SLOT)
    async def wait(self, run_id: RunId) -> bool:
        """Waits until the run has a slot, which is kept for its next call.

        Raises:
            ApplicationError: retryable; too many runs wait, or the worker is shutting down.
        """
        if self._waiting >= self._max_waiting:
            raise ApplicationError(
                f"{self._waiting} runs wait for a slot of this worker",
                category=EXPECTED,
                next_retry_delay=RETRY_DELAY,
            )
        self._waiting += 1
        try:
            await self._wait(run_id)
        finally:
            self._waiting -= 1
        return True

    async def _wait(self, run_id: RunId) -> None:
        waiting = asyncio.create_task(self._keep_slot(run_id))
        ending = asyncio.create_task(activity.wait_for_worker_shutdown())
        try:
            async with heartbeats():
                await asyncio.wait([waiting, ending], return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                raise ApplicationError("the worker is shutting down", category=EXPECTED)
            await waiting
        finally:
            waiting.cancel()
            ending.cancel()

    async def _keep_slot(self, run_id: RunId) -> None:
        async with self._slots.hold(run_id) as slot:
            slot.keep()
