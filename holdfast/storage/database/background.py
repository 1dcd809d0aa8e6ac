"""A database in a background thread, for code that uses several event loops or blocks its own."""

from __future__ import annotations

import asyncio
import threading
from asyncio import AbstractEventLoop
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from typing_extensions import override

from holdfast._util.loop_thread import LoopThread
from holdfast._util.native_threads import call_at_exit
from holdfast.storage.database.database import Database
from holdfast.storage.database.ephemeral import EphemeralEventHost, call_ephemeral
from holdfast.storage.database.local_index import IndexHost, call_index
from holdfast.storage.database.watches import Watch

T = TypeVar("T")

EXIT_DEADLINE = 10.0  # seconds to wait at process exit for statements in flight


class BackgroundDatabase(Database, EphemeralEventHost, IndexHost):
    """A Database that any number of event loops may use, in turn or concurrently.

    A connection belongs to the event loop that made it, and the owner of a shared database must answer other processes
    even while its own code blocks. A notebook, or a script that calls `asyncio.run` several times, can ensure neither.
    The thread ends with `close` or with the process, and starts again on the next use. A call costs about 0.1 ms more.

    Args:
        make: returns a new, unused database; called in the thread.
    """

    def __init__(self, make: Callable[[], Database]) -> None:
        self._make = make
        self._guard = threading.Lock()
        self._thread: _DatabaseThread | None = None
        call_at_exit(self._close_at_exit)  # an engine that is still open at exit may abort the process

    @override
    async def open(self) -> None:
        await self._run_in_thread(lambda database: database.open())

    @override
    async def run(self, statement: str, **values: Any) -> list[Any]:
        return await self._run_in_thread(lambda database: database.run(statement, **values))

    @override
    async def read(self, statement: str, **values: Any) -> list[Any]:
        return await self._run_in_thread(lambda database: database.read(statement, **values))

    @override
    @asynccontextmanager
    async def watch(self, table: str) -> AsyncIterator[Watch]:
        watch, loop = Watch(), asyncio.get_running_loop()
        forwarding = asyncio.create_task(self._run_in_thread(lambda database: _forward(database, table, watch, loop)))
        try:
            yield watch
        finally:
            forwarding.cancel()
            await asyncio.wait([forwarding])

    @override
    def touch(self, table: str) -> None:
        with self._guard:
            if self._thread is not None:
                self._thread.touch(table)

    @override
    def is_watched(self, table: str) -> bool:
        return True  # the thread knows, and to ask it costs as much as a notification

    @override
    async def ephemeral(self, operation: str, **values: Any) -> Any:
        return await self._run_in_thread(lambda database: call_ephemeral(database, operation, **values))

    @override
    async def index(self, name: str, operation: str, **values: Any) -> Any:
        return await self._run_in_thread(lambda database: call_index(database, name, operation, **values))

    @override
    async def close(self) -> None:
        if thread := self._detach_thread():
            await asyncio.to_thread(thread.end)

    async def _run_in_thread(self, work: Callable[[Database], Awaitable[T]]) -> T:
        with self._guard:
            if self._thread is None:
                self._thread = _DatabaseThread(self._make)
            answer = self._thread.submit(work)
        return await answer

    def _detach_thread(self) -> _DatabaseThread | None:
        with self._guard:
            thread, self._thread = self._thread, None
        return thread

    def _close_at_exit(self) -> None:
        if thread := self._detach_thread():
            thread.end(EXIT_DEADLINE)


async def _forward(database: Database, table: str, watch: Watch, loop: AbstractEventLoop) -> None:
    """Forwards changes that the thread observes to a watch in another event loop."""
    async with database.watch(table) as source:
        while True:
            loop.call_soon_threadsafe(watch.notify)
            await source.changed()


class _DatabaseThread:
    """A thread that owns a database.

    Args:
        make: returns the database; called in the thread, and its errors are raised.
    """

    def __init__(self, make: Callable[[], Database]) -> None:
        async def made() -> Database:
            return make()

        self._thread = LoopThread("database")
        try:
            self._database = self._thread.wait(made(), grace=EXIT_DEADLINE)
        except BaseException:
            self._thread.end(EXIT_DEADLINE)
            raise

    def submit(self, work: Callable[[Database], Awaitable[T]]) -> Awaitable[T]:
        """Runs `work` in the thread; returns an awaitable for the caller's event loop."""

        async def done() -> T:
            return await work(self._database)

        return asyncio.wrap_future(self._thread.submit(done()))

    def touch(self, table: str) -> None:
        """Tells those in the thread who watch a table of a change, without waiting for it."""

        async def touched() -> None:
            self._database.touch(table)

        self._thread.submit(touched())

    def end(self, timeout: float | None = None) -> None:
        """Closes the database and waits up to `timeout` seconds for that and for the thread to end."""
        with suppress(TimeoutError):
            self._thread.submit(self._database.close()).result(timeout)
        self._thread.end(EXIT_DEADLINE)
