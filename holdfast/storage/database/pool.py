"""A few connections to one database, for many callers."""

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
    """Lends its connections, each to one caller at a time; they are dialled when they are needed.

    The embedded engine loses updates when statements overlap, and aborts the process when one is in flight at
    exit. So a statement, once begun, is carried to its end though its caller be cancelled, and keeps its connection
    for as long; with a max_connections of one, that is what keeps them apart.

    Args:
        endpoint: where the database is.
        preparation: what is done to it before it is used.
    """

    def __init__(self, endpoint: Endpoint[C], preparation: Preparation | None = None) -> None:
        self._endpoint = endpoint
        self._dialer = Dialer(endpoint, preparation)
        self._connections = [Connection(endpoint, self._dialer) for _ in range(endpoint.max_connections)]
        self._idle = list(self._connections)  # the last is the next to be lent: what few callers need stays few
        self._slots = asyncio.Semaphore(endpoint.max_connections)
        self._closing = asyncio.Lock()
        self._working: set[asyncio.Task[Any]] = set()  # the loop itself keeps only weak references to tasks

    async def open(self) -> None:
        """Makes one connection ready, if there is none."""
        await self.lend(lambda connection: connection.ready())

    async def run(self, statement: str, **values: Any) -> list[Any]:
        """See `Database.run`."""
        return await self.lend(lambda connection: connection.run(statement, values))

    async def lend(self, work: Callable[[Connection[C]], Coroutine[Any, Any, T]]) -> T:
        """Does what needs a connection, as soon as one is free.

        Raises:
            StoreUnavailable: that took longer than a caller should wait; it goes on all the same.
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
            raise StoreUnavailable(f"{self._endpoint} gave no answer in {self._endpoint.call_deadline} s") from None

    async def close(self) -> None:
        """Waits for the statements in flight, then closes the connections; what comes later opens them again."""
        async with self._closing:
            held = await self._hold_all()
            try:
                for connection in self._connections:
                    await connection.close()
                self._endpoint.release()
            finally:
                for _ in range(held):
                    self._slots.release()

    async def _hold_all(self) -> int:
        """Takes every slot, or those that it can get in time: a server may hang, and its callers are then cut off."""
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
