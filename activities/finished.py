"""Remembers the results of calls that have ended, for as long as Temporal may not know of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from temporalio import activity

T = TypeVar("T")

KEPT_RESULTS = 256  # more than the calls that a worker has in flight as a rule; some KB each


class FinishedCalls:
    """Results of the calls that this worker has made lately; the oldest goes first.

    While the Temporal server is away nobody takes a result, and no heartbeat either. Once it is back it may have
    given up the attempt and start another: that one must not pay, or act, a second time.
    """

    def __init__(self, kept: int = KEPT_RESULTS) -> None:
        """
        Args:
            kept: how many results are remembered.
        """
        self._kept = kept
        self._results: OrderedDict[tuple[str | None, str], Any] = OrderedDict()

    async def once(self, make: Callable[[], Awaitable[T]]) -> T:
        """Gives the result that an earlier attempt at this activity had here; else makes the call."""
        info = activity.info()
        key = (info.workflow_run_id, info.activity_id)
        if key in self._results:
            known: T = self._results[key]
            return known
        result = self._results[key] = await make()
        if len(self._results) > self._kept:
            self._results.popitem(last=False)
        return result
