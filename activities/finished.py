"""Results of finished calls, kept because Temporal may not have received them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Generic, TypeVar

from cachetools import FIFOCache
from temporalio import activity

from holdfast.activities.heartbeat import given_up
from holdfast.activities.weight import weight

T = TypeVar("T")
Key = tuple[str | None, str]

KEPT_BYTES = 64 * 1024 * 1024  # of memory; thousands of usual results, and a few of the largest
NEXT_ATTEMPT = 5.0  # seconds in which Temporal starts the next attempt after one that it gave up


class FinishedCalls:
    """The results of this worker's most recent calls.

    An unavailable Temporal server accepts neither results nor heartbeats. When it is available again, it may time the
    attempt out and start another, which must not pay for the call or run the tool a second time.

    Args:
        max_bytes: limit of the memory of all results; the oldest are dropped, and a larger one is not kept.
    """

    def __init__(self, max_bytes: int = KEPT_BYTES) -> None:
        self._results: FIFOCache[Key, Any] = FIFOCache(max_bytes, getsizeof=weight)
        self._in_flight: dict[Key, SharedCall[Any]] = {}

    async def once(self, make: Callable[[], Awaitable[T]]) -> T:
        """Returns the result of an earlier attempt of this activity in this worker; otherwise makes the call."""
        key = _key()
        if key in self._results:
            known: T = self._results[key]
            return known
        result = await make()
        with suppress(ValueError):  # larger than all that may be kept
            self._results[key] = result
        return result

    def forget(self, workflow_run_id: str | None) -> None:
        """Drops the results of an execution that has ended."""
        for key in [key for key in self._results if key[0] == workflow_run_id]:
            del self._results[key]

    def __len__(self) -> int:
        return len(self._results)

    async def joined(self, make: Callable[[], Awaitable[T]], alone_for: float = NEXT_ATTEMPT) -> T:
        """Does the same as `once`, and joins an earlier attempt that is still in flight, instead of a second call.

        Args:
            make: makes the call.
            alone_for: seconds for which a call continues that Temporal has given up.
        """
        key = _key()
        call: SharedCall[T] | None = self._in_flight.get(key)
        if call is None:
            call = SharedCall(lambda: self.once(make), lambda: self._in_flight.pop(key, None), alone_for)
            self._in_flight[key] = call
        return await call.wait()


class SharedCall(Generic[T]):
    """A call that several attempts wait for; it is cancelled if none does.

    Args:
        make: makes the call.
        ended: called at its end.
        alone_for: seconds for which it continues after Temporal has given up the only attempt that waits for it.
    """

    def __init__(self, make: Callable[[], Awaitable[T]], ended: Callable[[], object], alone_for: float) -> None:
        self._alone_for = alone_for
        self._task: asyncio.Future[T] = asyncio.ensure_future(make())
        self._task.add_done_callback(lambda _: ended())
        self._task.add_done_callback(lambda task: task.cancelled() or task.exception())  # nobody may be left to ask
        self._waiting = 0

    async def wait(self) -> T:
        """Returns the result; a cancel ends the call, unless Temporal has only given up this attempt."""
        self._waiting += 1
        try:
            await asyncio.wait([self._task])
        except asyncio.CancelledError:
            if given_up():
                asyncio.get_running_loop().call_later(self._alone_for, self._cancel_if_alone)
                raise
            self._task.cancel()
            await asyncio.wait([self._task])
        finally:
            self._waiting -= 1
        return self._task.result()

    def _cancel_if_alone(self) -> None:
        if not self._waiting:
            self._task.cancel()


def _key() -> Key:
    info = activity.info()
    return info.workflow_run_id, info.activity_id
