"""Indexes of an embedded database, in the memory of the process that owns its files.

Rows are authoritative; an index is a cache of them. The engine's own full-text and vector indexes are hundreds of times
slower than these. Other processes reach them through the gateway. An index also carries out the
writes to the rows that it covers, so it knows each change before the writer is told of its success.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Protocol, runtime_checkable

from holdfast.errors import UsageError
from holdfast.storage.database.pool import Pool

LOCAL_INDEXES = {
    "vectors": "holdfast.storage.vectors.local:LocalVectors",
    "words": "holdfast.storage.memory.local:LocalWords",
}
"""Class of each index, imported when it is first used: these packages depend on this one, not the reverse."""


class LocalIndex(Protocol):
    """An index of one embedded database; its class takes the database's `Pool`."""

    async def call(self, operation: str, values: dict[str, Any]) -> Any:
        """Runs one operation, perhaps for another process; what it takes and returns must travel as CBOR.

        Raises:
            UsageError: the operation is unknown.
        """
        ...

    async def close(self) -> None:
        """Drops everything, as the database may have changed when it is next opened; ends what is being loaded."""


@runtime_checkable
class IndexHost(Protocol):
    """A database that may have local indexes."""

    async def index(self, name: str, operation: str, **values: Any) -> Any:
        """Runs an operation of a local index in the process that owns the database.

        Returns:
            What the operation returns, which is never `None`; `None` if the database is on a server.

        Raises:
            StoreUnavailable: the database did not answer.
        """
        ...


async def call_index(database: object, name: str, operation: str, **values: Any) -> Any:
    """Runs an operation of a local index of a database; returns `None` if it has none."""
    return await database.index(name, operation, **values) if isinstance(database, IndexHost) else None


class LocalIndexes:
    """The local indexes of one embedded database.

    Args:
        pool: the database.
    """

    def __init__(self, pool: Pool[Any]) -> None:
        self._pool = pool
        self._made: dict[str, LocalIndex] = {}

    async def call(self, name: str, operation: str, values: dict[str, Any]) -> Any:
        """Runs an operation of an index, which is loaded first if necessary."""
        return await self._find(name).call(operation, values)

    async def close(self) -> None:
        """Closes all indexes."""
        for index in self._made.values():
            await index.close()

    def _find(self, name: str) -> LocalIndex:
        if name not in self._made:
            if name not in LOCAL_INDEXES:
                raise UsageError(
                    f"there is no local index {name!r}: restart the process that owns the database, "
                    "it may run an older version"
                )
            module, _, kind = LOCAL_INDEXES[name].partition(":")
            self._made[name] = getattr(import_module(module), kind)(self._pool)
        return self._made[name]
