"""An index in memory that is loaded from rows and follows their changes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from holdfast._util.blocking import run_blocking
from holdfast._util.logger import get_logger
from holdfast.errors import StoreUnavailable

log = get_logger(__name__)

T = TypeVar("T")


class RowCache(Generic[T]):
    """Loads an index when it is first used, and applies the changes that are made to its rows from then on.

    Rows are read page by page, so writes continue while an index is loaded. Their changes are applied to it afterwards:
    each must have the same effect whether or not the page that was read included it already.

    Args:
        load: reads the rows and returns an index of them.
    """

    def __init__(self, load: Callable[[], Awaitable[T]]) -> None:
        self._load = load
        self._index: T | None = None
        self._loading: asyncio.Task[T] | None = None
        self._missed: list[Callable[[T], object]] = []
        self._is_stale = False

    @property
    def index(self) -> T | None:
        """The index if it is loaded."""
        return self._index

    async def get(self) -> T:
        """Returns the index, loading it first if necessary; raises what `load` raises."""
        if self._index is not None:
            return self._index
        if self._loading is None:
            self._loading = asyncio.create_task(self._loaded())
            self._loading.add_done_callback(_retrieve)
        loading = self._loading
        try:
            return await asyncio.shield(loading)
        except asyncio.CancelledError:
            if loading.cancelled():
                raise StoreUnavailable("the database was closed while an index of it was loaded") from None
            raise

    async def apply(self, change: Callable[[T], object]) -> None:
        """Applies a change to the index, in a thread. The caller holds the connection, so changes come in order.

        A change that fails drops the index. It does not fail the write, which has happened.
        """
        if self._loading is not None:
            self._missed.append(change)
        elif self._index is not None:
            try:
                await run_blocking(change, self._index)
            except Exception:
                log.exception("an index could not follow a write; it is loaded again")
                self.drop()

    def drop(self) -> None:
        """Has the index loaded again when it is next used: its rows may have changed unseen."""
        self._index = None
        self._is_stale = True

    async def close(self) -> None:
        """Drops the index, and stops loading it."""
        self.drop()
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.wait([self._loading])

    async def _loaded(self) -> T:
        try:
            while True:
                self._is_stale = False
                self._missed.clear()
                index = await self._load()
                for change in self._missed:
                    change(index)
                if not self._is_stale:
                    self._index = index
                    return index
        finally:
            self._loading = None
            self._missed.clear()


def _retrieve(loading: asyncio.Task[T]) -> None:
    """Looks at the outcome, in case every caller that waited for it was cancelled."""
    if not loading.cancelled():
        loading.exception()
