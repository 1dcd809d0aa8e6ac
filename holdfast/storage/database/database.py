"""The port of a SurrealDB database, and its implementation on one endpoint."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, runtime_checkable

from typing_extensions import override

from holdfast.storage.database.embedded import EmbeddedEndpoint, PathEndpoint
from holdfast.storage.database.ephemeral import EphemeralEventHost, EphemeralEvents
from holdfast.storage.database.live_queries import LiveQueryWatches
from holdfast.storage.database.local_index import IndexHost, LocalIndexes
from holdfast.storage.database.migrate import SERVER_MIGRATIONS, Schema
from holdfast.storage.database.pool import Pool
from holdfast.storage.database.read_only import EmbeddedReader, Reader, ServerReader, check_reads, check_rows
from holdfast.storage.database.remote import HttpEndpoint, WebsocketEndpoint
from holdfast.storage.database.snapshot_reader import SnapshotReader
from holdfast.storage.database.watches import Watch, Watches


@runtime_checkable
class Database(Protocol):
    """Runs statements. After an outage the same object works again.

    One per process is enough: stores, registries and event buses share it, and none of them closes it.
    """

    async def open(self) -> None:
        """Connects and applies the schema; may be called again. Other methods open the database themselves.

        Raises:
            StoreUnavailable: the database is unreachable or denies access.
        """

    async def run(self, statement: str, **values: Any) -> list[Any]:
        """Runs one statement or one transaction and returns the result of each part.

        If the connection is lost, the statement runs once more, so make writes safe to repeat. A server runs several
        statements at once; put what must not overlap into one transaction, or await each before the next.

        Args:
            statement: SurrealQL, with the placeholders of `dialect` where versions differ; pass values by name, never
                format them into the text.
            values: the values of `$name` in the statement.

        Raises:
            WriteConflict: another writer changed the rows first; nothing was written. Read again and retry.
            StatementFailed: the database rejected it.
            StoreUnavailable: the database is unreachable or did not answer in time.
        """
        ...

    async def read(self, statement: str, **values: Any) -> list[Any]:
        """Runs statements that a person typed, as `run` does; the database itself prevents writes.

        An embedded database on files is read in a process of its own, which sees everything that was acknowledged
        before: a statement that needs too much memory ends only that.

        Raises:
            UsageError: a statement writes, returns more than can be shown, or takes too long or too much memory.
            StatementFailed: the database rejected it, usually because of a syntax error.
            StoreUnavailable: the database is unreachable or did not answer in time.
        """
        ...

    def watch(self, table: str) -> AbstractAsyncContextManager[Watch]:
        """Watches a table for changes by any process; keeps working through an outage of the database.

        Start to watch, then read, then wait:

            async with database.watch("event") as watch:
                while True:
                    ...  # read what is new
                    await watch.changed()

        Writers of an embedded database must report their changes with `touch`.
        """
        ...

    def touch(self, table: str) -> None:
        """Notifies the watches of `table`; call it after each write to a table that is watched."""

    def is_watched(self, table: str) -> bool:
        """Whether a table may be watched, in any process; True if only another process knows."""
        ...

    async def close(self) -> None:
        """Waits for calls in flight, then releases everything; may be called twice."""


class SurrealDatabase(Database, EphemeralEventHost, IndexHost):
    """A database that this process opens or connects to directly.

    Args:
        endpoint: the database to connect to.
    """

    def __init__(self, endpoint: EmbeddedEndpoint | WebsocketEndpoint | HttpEndpoint) -> None:
        self._pool: Pool[Any]
        self._reader: Reader
        if isinstance(endpoint, EmbeddedEndpoint):
            self._pool = Pool(endpoint, Schema())
            self._reader = (
                SnapshotReader(endpoint.path, endpoint.namespace, endpoint.database)
                if isinstance(endpoint, PathEndpoint)
                else EmbeddedReader(endpoint, self._pool)
            )
            self._watches = Watches()
            self._ephemeral: EphemeralEvents | None = EphemeralEvents(self._pool)
            self._indexes: LocalIndexes | None = LocalIndexes(self._pool)
        else:
            self._pool = Pool(endpoint, Schema(SERVER_MIGRATIONS))
            self._reader = ServerReader(endpoint.websocket(), self._pool)
            self._watches = LiveQueryWatches(endpoint.websocket())
            self._ephemeral = None
            self._indexes = None

    @override
    async def open(self) -> None:
        await self._pool.open()

    @override
    async def run(self, statement: str, **values: Any) -> list[Any]:
        return await self._pool.run(statement, **values)

    @override
    async def read(self, statement: str, **values: Any) -> list[Any]:
        check_reads(statement)
        return check_rows(await self._reader.read(statement, values))

    @override
    def watch(self, table: str) -> AbstractAsyncContextManager[Watch]:
        return self._watches.watch(table)

    @override
    def touch(self, table: str) -> None:
        self._watches.notify(table)

    @override
    def is_watched(self, table: str) -> bool:
        return self._watches.is_watched(table)

    @override
    async def ephemeral(self, operation: str, **values: Any) -> Any:
        return None if self._ephemeral is None else await self._ephemeral.call(operation, values)

    @override
    async def index(self, name: str, operation: str, **values: Any) -> Any:
        return None if self._indexes is None else await self._indexes.call(name, operation, values)

    @override
    async def close(self) -> None:
        await self._watches.close()
        await self._reader.close()
        await self._close_indexes()  # what they load would open the database again
        await self._pool.close()
        await self._close_indexes()  # what was loaded meanwhile

    async def _close_indexes(self) -> None:
        if self._indexes is not None:
            await self._indexes.close()
