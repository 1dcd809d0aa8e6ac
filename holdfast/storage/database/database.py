"""A SurrealDB database, wherever it is: what everything that is kept stands on."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, runtime_checkable

from typing_extensions import override

from holdfast.storage.database.embedded import EmbeddedEndpoint
from holdfast.storage.database.ephemeral import EphemeralEventHost, EphemeralEvents
from holdfast.storage.database.live_queries import LiveQueryWatches
from holdfast.storage.database.local_index import IndexHost, LocalIndexes
from holdfast.storage.database.migrate import SERVER_MIGRATIONS, Schema
from holdfast.storage.database.pool import Pool
from holdfast.storage.database.read_only import EmbeddedReader, Reader, ServerReader, check_reads, check_rows
from holdfast.storage.database.remote import HttpEndpoint, WebsocketEndpoint
from holdfast.storage.database.watches import Watch, Watches


@runtime_checkable
class Database(Protocol):
    """Runs statements. One that was away works again, without being made anew, once it is back.

    One per process is enough: stores, registries, buses share it, and none of them closes it.
    """

    async def open(self) -> None:
        """Connects and applies the schema; may be called again. Other methods open by themselves.

        Raises:
            StoreUnavailable: there is no database, or no access to it.
        """

    async def run(self, statement: str, **values: Any) -> list[Any]:
        """Runs one statement, or one transaction, and gives the results of its parts.

        A statement whose connection is lost is run once more: write so that a second time does no harm. On a server
        several run at once; what must not overlap goes into one transaction, or waits for the answer of the other.

        Args:
            statement: SurrealQL, with the placeholders of `dialect` where the versions differ;
                never put a value into its text.
            values: what `$name` stands for in it.

        Raises:
            WriteConflict: another writer was faster and nothing was written; planning anew will help.
            StatementFailed: the database refused it.
            StoreUnavailable: there was no answer in time, or no database.
        """
        ...

    async def read(self, statement: str, **values: Any) -> list[Any]:
        """Runs statements that someone typed, as `run` does; the database itself keeps them from writing.

        Raises:
            UsageError: it is meant to write, gives more rows than can be shown, or takes too long.
            StatementFailed: the database refused it, for an error in it as a rule.
            StoreUnavailable: there was no answer in time, or no database.
        """
        ...

    def watch(self, table: str) -> AbstractAsyncContextManager[Watch]:
        """Watches a table for changes, by whichever process; works while the database is away, too.

        Begin to watch, then read, then wait:

            async with database.watch("event") as watch:
                while True:
                    ...  # read what is new
                    await watch.changed()

        In an embedded database the writers are all in this process, and must say what they change: see `touch`.
        """
        ...

    def touch(self, table: str) -> None:
        """Wakes those in this process who watch `table`; whoever writes to a watched table calls it afterwards."""

    async def close(self) -> None:
        """Waits for what is in flight and lets go of everything; may be called twice."""


class SurrealDatabase(Database, EphemeralEventHost, IndexHost):
    """A database that this process holds or reaches by itself.

    Args:
        endpoint: where it is.
    """

    def __init__(self, endpoint: EmbeddedEndpoint | WebsocketEndpoint | HttpEndpoint) -> None:
        self._pool: Pool[Any]
        self._reader: Reader
        if isinstance(endpoint, EmbeddedEndpoint):
            self._pool = Pool(endpoint, Schema())
            self._reader = EmbeddedReader(endpoint, self._pool)
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
