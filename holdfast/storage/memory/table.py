"""MemoryTable, the protocol of the backends that store memories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from holdfast.storage.memory.record import Record

Place = tuple[str, str]
"""Namespace and id."""


@dataclass(frozen=True)
class Space:
    """The current state of a namespace."""

    name: str
    revision: int
    """Increases with every write by any process."""
    embedder: str | None
    """Name of the embedder of its memories; `None` means that none was ever embedded."""


class MemoryTable(Protocol):
    """Rows of memories, with a full-text index. Every method may raise StoreUnavailable."""

    async def write(self, namespace: str, records: Sequence[Record]) -> None:
        """Stores records of one namespace as pending; skips a record that is stored with the same digest."""

    async def read(self, places: Sequence[Place]) -> dict[Place, Record]:
        """Returns the records that exist, by place."""
        ...

    async def page(self, namespace: str, after: str, limit: int) -> list[Record]:
        """Returns records of a namespace with `id > after`, ordered by id."""
        ...

    async def count(self, namespace: str) -> int:
        """Returns the number of records in a namespace."""
        ...

    async def remove(self, namespace: str, id: str) -> bool:  # noqa: A002 - the field's word
        """Removes a record; returns whether it existed."""
        ...

    async def matches(
        self, namespaces: Sequence[str], words: Sequence[str], facets: Sequence[str], limit: int
    ) -> list[Place]:
        """Returns the places of records that contain at least one of the words, best first.

        Args:
            namespaces: the namespaces to search.
            words: the rarer a word is, the more it weighs.
            facets: matches must have all of these.
            limit: maximum number of places.
        """
        ...

    async def spaces(self, names: Sequence[str] | None = None) -> list[Space]:
        """Returns these namespaces, or all for `None`, without those that were never written to."""
        ...

    async def pending(self, namespace: str, limit: int) -> list[Record]:
        """Returns records that have no vector yet."""
        ...

    async def settle(self, namespace: str, records: Sequence[Record]) -> None:
        """Marks records as embedded, with their `embedded_by` and `fault`, unless they have changed since."""

    async def adopt(self, namespace: str, embedder: str) -> None:
        """Sets the embedder of a namespace; records that another one has embedded become pending."""
