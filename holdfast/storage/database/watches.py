"""Watches of tables: notifications that a table may have changed."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from typing_extensions import override


class Watch:
    """A watch on one table."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    async def changed(self) -> None:
        """Waits until the table may have changed since the last call; several changes may count as one.

        It may also return without a change, so read again and compare.
        """
        await self._changed.wait()
        self._changed.clear()

    def notify(self) -> None:
        """Wakes `changed`, now or when it is called next."""
        self._changed.set()


class Watches:
    """The watches in this process, by table; sufficient where no other process writes."""

    def __init__(self) -> None:
        self._of: defaultdict[str, set[Watch]] = defaultdict(set)

    @asynccontextmanager
    async def watch(self, table: str) -> AsyncIterator[Watch]:
        """Watches a table until the context ends; see `Database.watch`."""
        watch = Watch()
        self._of[table].add(watch)
        try:
            yield watch
        finally:
            self._of[table].discard(watch)
            if not self._of[table]:
                del self._of[table]
                await self._unwatched(table)

    def is_watched(self, table: str) -> bool:
        """Whether a table may be watched, in any process."""
        return table in self._of

    def notify(self, table: str) -> None:
        """Notifies the watches of `table`."""
        for watch in self._of.get(table, ()):
            watch.notify()

    async def close(self) -> None:
        """Releases what the watches hold."""

    async def _unwatched(self, table: str) -> None:
        """Called after the last watch of `table` has ended."""


class ListeningWatches(Watches, ABC):
    """Watches of tables that other processes change: each watched table has one listener task."""

    def __init__(self) -> None:
        super().__init__()
        self._listeners: dict[str, asyncio.Task[None]] = {}

    @override
    @asynccontextmanager
    async def watch(self, table: str) -> AsyncIterator[Watch]:
        async with super().watch(table) as watch:
            if table not in self._listeners:
                self._listeners[table] = asyncio.create_task(self._listen(table))
            yield watch

    @override
    def is_watched(self, table: str) -> bool:
        return True  # other processes have watches of their own

    async def close(self) -> None:
        """Stops listening."""
        for table in list(self._listeners):
            await self._unwatched(table)

    @abstractmethod
    async def _listen(self, table: str) -> None:
        """Calls `notify` whenever the table may have changed, until it is cancelled."""

    async def _unwatched(self, table: str) -> None:
        if listener := self._listeners.pop(table, None):
            listener.cancel()
            await asyncio.wait([listener])
