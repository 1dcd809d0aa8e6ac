"""A database in a thread of its own, for code that runs in several event loops or keeps its own loop busy."""

from __future__ import annotations

import asyncio
import atexit
import threading
from asyncio import AbstractEventLoop
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from holdfast.storage.database.database import Database
from holdfast.storage.database.ephemeral import call_ephemeral
from holdfast.storage.database.local_index import call_index
from holdfast.storage.database.watches import Watch

T = TypeVar("T")

EXIT_DEADLINE = 10.0  # seconds that the end of the process waits for statements in flight


class BackgroundDatabase:
    """A Database that any event loop may use, one after the other or side by side.

    A connection belongs to the loop in which it was made, and a process that holds a shared database must answer the
    others whatever its own code does. In a notebook, or with several `asyncio.run` in a row, neither would hold. The
    thread ends with `close` or with the process, and comes back with the next use. A call costs some 0.1 ms more.

    Args:
        make: gives a database that nothing has used yet; called in the thread.
    """

    def __init__(self, make: Callable[[], Database]) -> None:
        self._make = make
        self._guard = threading.Lock()
        self._thread: _DatabaseThread | None = None
        atexit.register(self._close_at_exit)  # an engine that is open when the process ends may abort it

    async def open(self) -> None:
        """See `Database.open`."""
        await self._there(lambda database: database.open())

    async def run(self, statement: str, **values: Any) -> list[Any]:
        """See `Database.run`."""
        return await self._there(lambda database: database.run(statement, **values))

    async def read(self, statement: str, **values: Any) -> list[Any]:
        """See `Database.read`."""
        return await self._there(lambda database: database.read(statement, **values))

    @asynccontextmanager
    async def watch(self, table: str) -> AsyncIterator[Watch]:
        """See `Database.watch`."""
        watch, loop = Watch(), asyncio.get_running_loop()
        forwarding = asyncio.create_task(self._there(lambda database: _forward(database, table, watch, loop)))
        try:
            yield watch
        finally:
            forwarding.cancel()
            await asyncio.wait([forwarding])

    def touch(self, table: str) -> None:
        """See `Database.touch`."""
        with self._guard:
            if self._thread is not None:
                self._thread.call(lambda database: database.touch(table))

    async def ephemeral(self, operation: str, **values: Any) -> Any:
        """See `EphemeralEventHost.ephemeral`."""
        return await self._there(lambda database: call_ephemeral(database, operation, **values))

    async def index(self, name: str, operation: str, **values: Any) -> Any:
        """See `IndexHost.index`."""
        return await self._there(lambda database: call_index(database, name, operation, **values))

    async def close(self) -> None:
        """See `Database.close`."""
        if thread := self._taken():
            await asyncio.to_thread(thread.end)

    async def _there(self, work: Callable[[Database], Awaitable[T]]) -> T:
        with self._guard:
            if self._thread is None:
                self._thread = _DatabaseThread(self._make)
            answer = self._thread.submit(work)
        return await answer

    def _taken(self) -> _DatabaseThread | None:
        with self._guard:
            thread, self._thread = self._thread, None
        return thread

    def _close_at_exit(self) -> None:
        if thread := self._taken():
            thread.end(EXIT_DEADLINE)


async def _forward(database: Database, table: str, watch: Watch, loop: AbstractEventLoop) -> None:
    """Rings in a loop what is heard in the thread."""
    async with database.watch(table) as heard:
        while True:
            loop.call_soon_threadsafe(watch.notify)
            await heard.changed()


class _DatabaseThread:
    """A thread with an event loop and a database."""

    def __init__(self, make: Callable[[], Database]) -> None:
        self._make = make
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live()), name="database", daemon=True)
        self._thread.start()
        self._ready.wait()

    def submit(self, work: Callable[[Database], Awaitable[T]]) -> Awaitable[T]:
        """Has something done in the thread; what it gives is to be awaited in the loop of the caller."""

        async def done() -> T:
            return await work(self._database)

        return asyncio.wrap_future(asyncio.run_coroutine_threadsafe(done(), self._loop))

    def call(self, work: Callable[[Database], None]) -> None:
        """Has something done in the thread, and does not wait for it."""
        self._loop.call_soon_threadsafe(lambda: work(self._database))

    def end(self, timeout: float | None = None) -> None:
        """Closes the database and waits until the thread has ended, at most `timeout` seconds."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(timeout)

    async def _live(self) -> None:
        self._loop: AbstractEventLoop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        self._database = self._make()
        self._ready.set()
        await self._over.wait()
        await self._database.close()
