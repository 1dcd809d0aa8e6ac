"""An embedded database that several processes share: one owns the files and serves the others."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol

from typing_extensions import override

from holdfast.errors import StoreLocked, StoreUnavailable
from holdfast.storage.database.database import Database
from holdfast.storage.database.embedded import PathEndpoint
from holdfast.storage.database.ephemeral import EphemeralEventHost
from holdfast.storage.database.gateway.client import GatewayClient, NotExecuted
from holdfast.storage.database.gateway.descriptor import DescriptorFile, GatewayDescriptor
from holdfast.storage.database.gateway.owner import Owner
from holdfast.storage.database.gateway.watches import GatewayWatches
from holdfast.storage.database.local_index import IndexHost
from holdfast.storage.database.migrate import MIGRATIONS
from holdfast.storage.database.watches import Watch

ELECTION_DEADLINE = 6.0  # seconds; an owner is reachable within milliseconds, unless it is frozen or the machine busy
RETRY_INTERVAL = 0.02  # seconds between two attempts, half of it random, so that processes do not retry in step


class _Mismatch(StoreLocked):
    """The owner serves a different namespace, database or schema."""


class Route(Protocol):
    """The way to the database: this process owns it, or is connected to the process that does."""

    @property
    def is_usable(self) -> bool:
        """Whether calls can still reach the database."""
        ...

    async def call(self, verb: str, statement: str = "", values: dict[str, Any] | None = None) -> Any:
        """Calls `open` or `run` of `Database`, or `EphemeralEventHost.ephemeral`, and returns its result."""

    async def listen(self, table: str, notify: Callable[[], None]) -> None:
        """Calls `notify` at first and when a table may have changed; returns when the route is no longer usable."""

    def touch(self, table: str) -> None:
        """Notifies everything that watches `table`, in any process."""

    async def close(self) -> None:
        """Waits for calls in flight, then closes the route."""


class SharedDatabase(Database, EphemeralEventHost, IndexHost):
    """A Database on files that any number of processes of one machine may have open at once.

    The first process to use it becomes the owner: it opens the engine and serves the others. When the owner closes or
    dies, the next process that makes a call becomes the owner. If the owner closes, no call fails. If it dies, calls in
    flight to it fail, and later calls succeed.

    Args:
        path: the database's folder.
        endpoint: the endpoint of that folder; all processes must use the same namespace and database.
        engine: a database on that endpoint that only this object uses.
    """

    def __init__(self, path: Path, endpoint: PathEndpoint, engine: Database) -> None:
        self._endpoint, self._engine = endpoint, engine
        self._file = DescriptorFile(path)
        self._route: Route | None = None
        self._election: asyncio.Task[Route] | None = None
        self._watches = GatewayWatches(self._listen_to)

    async def open(self) -> None:
        """Connects and applies the schema; may be called again. Other methods open the database themselves.

        Raises:
            StoreLocked: a process has the database open and does not share it.
            StoreUnavailable: the database is unreachable.
        """
        await self._call("open")

    @override
    async def run(self, statement: str, **values: Any) -> list[Any]:
        results: list[Any] = await self._call("run", statement, values)
        return results

    @override
    async def read(self, statement: str, **values: Any) -> list[Any]:
        return await self._engine.read(statement, **values)  # from a copy of the files, whoever has them open

    def watch(self, table: str) -> AbstractAsyncContextManager[Watch]:
        """Watches a table for changes by any process that shares the database; see `Database.watch`."""
        return self._watches.watch(table)

    @override
    def touch(self, table: str) -> None:
        if self._route is not None and self._route.is_usable:
            self._route.touch(table)
        else:
            self._watches.notify(table)  # other processes notify their own watches when they elect a new owner

    @override
    def is_watched(self, table: str) -> bool:
        return not self.is_owner or self._engine.is_watched(table)

    async def ephemeral(self, operation: str, **values: Any) -> Any:
        """Calls `EphemeralEvents.call` in the owner. Ephemeral events are lost with their owner."""
        return await self._call("ephemeral", operation, values)

    @override
    async def index(self, name: str, operation: str, **values: Any) -> Any:
        # The next process that owns the database builds its indexes from rows.
        return await self._call("index", name, {"operation": operation, "values": values})

    async def close(self) -> None:
        """Waits for calls in flight, then releases the database; another process may become its owner."""
        await self._watches.close()
        if self._election is not None:
            await asyncio.wait([self._election])
        route, self._route = self._route, None
        if route is not None:
            await route.close()

    @property
    def is_owner(self) -> bool:
        """Whether this process owns the database."""
        return isinstance(self._route, Owner)

    async def _call(self, verb: str, statement: str = "", values: dict[str, Any] | None = None) -> Any:
        while True:
            route = await self._current_route()
            try:
                return await route.call(verb, statement, values)
            except NotExecuted:
                continue  # through another route; an election that finds none raises StoreUnavailable

    async def _listen_to(self, table: str, notify: Callable[[], None]) -> None:
        route = await self._current_route()
        await route.listen(table, notify)

    async def _current_route(self) -> Route:
        if self._route is not None and self._route.is_usable:
            return self._route
        if self._election is None:  # one for all callers; it continues even if a caller is cancelled
            self._election = asyncio.create_task(self._elect())
            self._election.add_done_callback(self._end_election)
        return await asyncio.shield(self._election)

    def _end_election(self, election: asyncio.Task[Route]) -> None:
        self._election = None
        if not election.cancelled() and election.exception() is None:
            self._route = election.result()

    async def _elect(self) -> Route:
        route, self._route = self._route, None
        if route is not None:
            await route.close()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + ELECTION_DEADLINE
        while True:
            try:
                return await self._own_or_join()
            except _Mismatch:
                raise
            except StoreUnavailable:
                if loop.time() >= deadline:
                    raise
            await asyncio.sleep(RETRY_INTERVAL * random.uniform(0.5, 1))  # noqa: S311

    async def _own_or_join(self) -> Route:
        try:
            return await Owner.acquire(self._endpoint, self._engine, self._file)
        except StoreLocked:
            descriptor = self._file.read()
            if descriptor is None or not self._endpoint.is_held_by(descriptor.pid):
                raise  # the owner does not share, or not yet; the descriptor may belong to a dead process
        self._check(descriptor)
        return await GatewayClient.connect(descriptor)

    def _check(self, descriptor: GatewayDescriptor) -> None:
        ours = (self._endpoint.namespace, self._endpoint.database)
        if ours != (descriptor.namespace, descriptor.database):
            raise _Mismatch(
                f"process {descriptor.pid} has {self._endpoint} open as namespace {descriptor.namespace!r} "
                f"and database {descriptor.database!r}, but this process uses {ours[0]!r} "
                f"and {ours[1]!r}: give both the same settings"
            )
        if descriptor.schema_version < len(MIGRATIONS):
            raise _Mismatch(
                f"process {descriptor.pid} has {self._endpoint} open and runs an older version of Holdfast: restart it"
            )
