"""Tells those who watch a table that it has changed."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from typing_extensions import override


class Watch:
    """What a watcher waits on."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    async def changed(self) -> None:
        """Waits until the table may have changed since this was last called; many changes at once count as one.

        It may also return where nothing has changed: read again and see.
        """
        await self._changed.wait()
        self._changed.clear()

    def notify(self) -> None:
        """Wakes the watcher, now or when it next waits."""
        self._changed.set()


class Watches:
    """The watchers in this process, by table; where no other process writes, these are all that there are."""

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

    def notify(self, table: str) -> None:
        """Wakes those who watch `table`."""
        for watch in self._of.get(table, ()):
            watch.notify()

    async def close(self) -> None:
        """Holds nothing that must be let go."""

    async def _unwatched(self, table: str) -> None:
        """Called when nobody watches `table` any longer."""


class ListeningWatches(Watches, ABC):
    """Watchers of tables that other processes change: each table has a listener while someone watches it."""

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

    async def close(self) -> None:
        """Stops listening."""
        for table in list(self._listeners):
            await self._unwatched(table)

    @abstractmethod
    async def _listen(self, table: str) -> None:
        """Rings whenever the table may have changed, until it is cancelled."""

    async def _unwatched(self, table: str) -> None:
        if listener := self._listeners.pop(table, None):
            listener.cancel()
            await asyncio.wait([listener])
