"""Results of finished calls, kept because Temporal may not have received them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from cachetools import FIFOCache
from temporalio import activity

T = TypeVar("T")

KEPT_RESULTS = 256  # more than a worker usually has in flight; a few KB each


class FinishedCalls:
    """The results of this worker's most recent calls.

    An unavailable Temporal server accepts neither results nor heartbeats. When it is available again, it may time the
    attempt out and start another, which must not pay for the call or run the tool a second time.

    Args:
        kept: maximum number of results; the oldest are dropped.
    """

    def __init__(self, kept: int = KEPT_RESULTS) -> None:
        self._results: FIFOCache[tuple[str | None, str], Any] = FIFOCache(kept)

    async def once(self, make: Callable[[], Awaitable[T]]) -> T:
        """Returns the result of an earlier attempt of this activity in this worker; otherwise makes the call."""
        info = activity.info()
        key = (info.workflow_run_id, info.activity_id)
        if key in self._results:
            known: T = self._results[key]
            return known
        result = self._results[key] = await make()
        return result
