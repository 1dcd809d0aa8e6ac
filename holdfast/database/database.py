"""A SurrealDB database, wherever it is: what everything that is kept stands on."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from holdfast.database.connection import Connection
from holdfast.database.endpoint import Endpoint
from holdfast.database.migrate import migrate


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

        Args:
            statement: SurrealQL; never put a value into its text.
            values: what `$name` stands for in it.

        Raises:
            Overtaken: another writer was faster and nothing was written; planning anew will help.
            StatementFailed: the database refused it.
            StoreUnavailable: there was no answer in time, or no database.
        """
        ...

    async def close(self) -> None:
        """Waits for what is in flight and lets go of everything; may be called twice."""


class SurrealDatabase:
    """A database that this process holds or reaches by itself.

    Args:
        endpoint: where it is.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._connection = Connection(endpoint, prepare=migrate)

    async def open(self) -> None:
        """See `Database.open`."""
        await self._connection.open()

    async def run(self, statement: str, **values: Any) -> list[Any]:
        """See `Database.run`."""
        return await self._connection.run(statement, **values)

    async def close(self) -> None:
        """See `Database.close`."""
        await self._connection.close()
