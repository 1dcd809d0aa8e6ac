"""One embedded database for all processes of a machine: one of them holds it, the others go through that one."""

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

ELECTION_DEADLINE = 3.0  # seconds; between taking the lock and being reachable a process needs milliseconds
RETRY_INTERVAL = 0.02  # seconds between two attempts, half of it by chance: so that many fall out of step


class _Mismatch(StoreLocked):
    """The holder shares another database than the one that is asked for."""


class Route(Protocol):
    """How this process reaches the database for now: it holds it, or it has a connection to the one that does."""

    @property
    def is_usable(self) -> bool:
        """Whether it still leads there."""
        ...

    async def call(self, verb: str, statement: str = "", values: dict[str, Any] | None = None) -> Any:
        """Does `open`, `run` or `read` of `Database`, or `ephemeral`."""

    async def listen(self, table: str, notify: Callable[[], None]) -> None:
        """Calls back when a table may have changed, and at first; returns when it leads there no longer."""

    def touch(self, table: str) -> None:
        """Notifies everything that watches `table`, in any process."""

    async def close(self) -> None:
        """Waits for what is in flight, then lets go."""


class SharedDatabase(Database, EphemeralEventHost, IndexHost):
    """A Database on files that any number of processes of one machine may have open at once.

    The first to use it holds it: it opens the engine and serves the others. When it closes or dies, the next call of
    any other makes that one the holder. Of a holder that closes nobody notices anything; a call that was in flight to
    one that dies fails, and those that come after it do not.

    Args:
        path: the database's folder.
        endpoint: of that folder; namespace and database must be the same in all processes.
        engine: a database on that endpoint, which only this object uses.
    """

    def __init__(self, path: Path, endpoint: PathEndpoint, engine: Database) -> None:
        self._endpoint, self._engine = endpoint, engine
        self._file = DescriptorFile(path)
        self._route: Route | None = None
        self._election: asyncio.Task[Route] | None = None
        self._watches = GatewayWatches(self._listen_to)

    async def open(self) -> None:
        """See `Database.open`.

        Raises:
            StoreLocked: a process has the database open and does not share it.
        """
        await self._call("open")

    @override
    async def run(self, statement: str, **values: Any) -> list[Any]:
        results: list[Any] = await self._call("run", statement, values)
        return results

    @override
    async def read(self, statement: str, **values: Any) -> list[Any]:
        results: list[Any] = await self._call("read", statement, values)
        return results

    def watch(self, table: str) -> AbstractAsyncContextManager[Watch]:
        """See `Database.watch`; hears the other processes that share the database, too."""
        return self._watches.watch(table)

    @override
    def touch(self, table: str) -> None:
        if self._route is not None and self._route.is_usable:
            self._route.touch(table)
        else:
            self._watches.notify(table)  # the others notify by themselves when they look for another holder

    async def ephemeral(self, operation: str, **values: Any) -> Any:
        """See `EphemeralEventHost.ephemeral`; when another process becomes the owner, ephemeral events are lost."""
        return await self._call("ephemeral", operation, values)

    @override
    async def index(self, name: str, operation: str, **values: Any) -> Any:
        """See `IndexHost.index`; the next process that owns the database builds its indexes from rows."""
        return await self._call("index", name, {"operation": operation, "values": values})

    async def close(self) -> None:
        """See `Database.close`; another process may hold the database next."""
        await self._watches.close()
        if self._election is not None:
            await asyncio.wait([self._election])
        route, self._route = self._route, None
        if route is not None:
            await route.close()

    @property
    def is_owner(self) -> bool:
        """Whether this process has the files open."""
        return isinstance(self._route, Owner)

    async def _call(self, verb: str, statement: str = "", values: dict[str, Any] | None = None) -> Any:
        while True:
            route = await self._current_route()
            try:
                return await route.call(verb, statement, values)
            except NotExecuted:
                continue  # elsewhere: an election that finds nobody ends this

    async def _listen_to(self, table: str, notify: Callable[[], None]) -> None:
        route = await self._current_route()
        await route.listen(table, notify)

    async def _current_route(self) -> Route:
        if self._route is not None and self._route.is_usable:
            return self._route
        if self._election is None:  # one for all callers, and it goes on though a caller be cancelled
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
                return await self._hold_or_join()
            except _Mismatch:
                raise
            except StoreUnavailable:
                if loop.time() >= deadline:
                    raise
            await asyncio.sleep(RETRY_INTERVAL * random.uniform(0.5, 1))  # noqa: S311

    async def _hold_or_join(self) -> Route:
        try:
            return await Owner.take(self._endpoint, self._engine, self._file)
        except StoreLocked:
            descriptor = self._file.read()
            if descriptor is None or not self._endpoint.is_held_by(descriptor.pid):
                raise  # it does not share, or not yet; the descriptor may be of one that died
        self._check(descriptor)
        return await GatewayClient.connect(descriptor)

    def _check(self, descriptor: GatewayDescriptor) -> None:
        ours = (self._endpoint.namespace, self._endpoint.database)
        if ours != (descriptor.namespace, descriptor.database):
            raise _Mismatch(
                f"process {descriptor.pid} has {self._endpoint} open as namespace {descriptor.namespace!r} "
                f"and database {descriptor.database!r}; here they are {ours[0]!r} "
                f"and {ours[1]!r}: give both the same settings"
            )
        if descriptor.schema_version < len(MIGRATIONS):
            raise _Mismatch(
                f"process {descriptor.pid} has {self._endpoint} open and is of an older version of Holdfast: restart it"
            )
