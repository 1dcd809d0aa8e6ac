"""Results of calls that have ended, kept for as long as Temporal may not know of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from cachetools import FIFOCache
from temporalio import activity

T = TypeVar("T")

KEPT_RESULTS = 256  # more than the calls that a worker usually has in flight; some KB each


class FinishedCalls:
    """The results of this worker's most recent calls.

    While the Temporal server is unavailable it accepts neither results nor heartbeats. Once it is back it may have
    given up the attempt and start another: that one must not pay, or act, a second time.

    Args:
        kept: how many results are kept; the oldest are dropped.
    """

    def __init__(self, kept: int = KEPT_RESULTS) -> None:
        self._results: FIFOCache[tuple[str | None, str], Any] = FIFOCache(kept)

    async def once(self, make: Callable[[], Awaitable[T]]) -> T:
        """Returns the result of an earlier attempt at this activity in this worker; without one, makes the call."""
        info = activity.info()
        key = (info.workflow_run_id, info.activity_id)
        if key in self._results:
            known: T = self._results[key]
            return known
        result = self._results[key] = await make()
        return result
