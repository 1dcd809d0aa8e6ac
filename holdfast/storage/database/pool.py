"""A pool of connections to one database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Generic, TypeVar

from holdfast.errors import StoreUnavailable
from holdfast.storage.database.connection import Connection
from holdfast.storage.database.dialer import Dialer, Preparation
from holdfast.storage.database.endpoint import C, Endpoint

T = TypeVar("T")


class Pool(Generic[C]):
    """Lends connections, each to one caller at a time; they are opened on demand.

    The embedded engine loses updates when statements overlap, and aborts the process if a statement is in flight at
    exit. So a statement that has started always finishes, even if its caller is cancelled, and keeps its connection
    until then. With `max_connections` of one, statements never overlap.

    Args:
        endpoint: the database to connect to.
        preparation: the state to bring the database to before its first use.
    """

    def __init__(self, endpoint: Endpoint[C], preparation: Preparation | None = None) -> None:
        self._endpoint = endpoint
        self._dialer = Dialer(endpoint, preparation)
        self._connections = [Connection(endpoint, self._dialer) for _ in range(endpoint.max_connections)]
        self._idle = list(self._connections)  # last in, first out: few callers open few connections
        self._slots = asyncio.Semaphore(endpoint.max_connections)
        self._closing = asyncio.Lock()
        self._working: set[asyncio.Task[Any]] = set()  # the event loop keeps only weak references to tasks

    async def open(self) -> None:
        """Opens one connection, if there is none."""
        await self.lend(lambda connection: connection.ready())

    async def run(self, statement: str, **values: Any) -> list[Any]:
        """Runs a statement on the next free connection; see `Connection.run`."""
        return await self.lend(lambda connection: connection.run(statement, values))

    async def lend(self, work: Callable[[Connection[C]], Coroutine[Any, Any, T]]) -> T:
        """Runs `work` with a connection, as soon as one is free.

        Raises:
            StoreUnavailable: it took longer than `call_deadline`; the work continues nevertheless.
        """
        known_failures = self._dialer.failures
        try:
            async with asyncio.timeout(self._endpoint.call_deadline):
                await self._slots.acquire()
                connection = self._idle.pop()
                connection.known_failures = known_failures
                task = asyncio.create_task(work(connection))
                self._working.add(task)
                task.add_done_callback(partial(self._take_back, connection))
                return await asyncio.shield(task)
        except TimeoutError:
            raise StoreUnavailable(f"{self._endpoint} did not answer within {self._endpoint.call_deadline} s") from None

    async def close(self) -> None:
        """Waits for statements in flight, then closes the connections; later calls open new ones."""
        async with self._closing:
            held = await self._acquire_all()
            try:
                for connection in self._connections:
                    await connection.close()
                self._endpoint.release()
            finally:
                for _ in range(held):
                    self._slots.release()

    async def _acquire_all(self) -> int:
        """Acquires every slot it can within the deadline; if a server hangs, its remaining callers are cut off."""
        held = 0
        try:
            async with asyncio.timeout(self._endpoint.call_deadline):
                while held < self._endpoint.max_connections:
                    await self._slots.acquire()
                    held += 1
        except TimeoutError:
            pass
        except BaseException:
            for _ in range(held):
                self._slots.release()
            raise
        return held

    def _take_back(self, connection: Connection[C], task: asyncio.Task[Any]) -> None:
        self._working.discard(task)
        self._idle.append(connection)
        self._slots.release()
