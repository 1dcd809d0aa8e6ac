"""Where memories are kept: the seam between the service and its backends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from holdfast.storage.memory.record import Record

Place = tuple[str, str]
"""Namespace and id."""


@dataclass(frozen=True)
class Space:
    """A namespace as it stands."""

    name: str
    revision: int
    """Grows with every write, whichever process made it."""
    embedder: str | None
    """Name of the embedder that its memories are embedded with; None: they never were."""


class MemoryTable(Protocol):
    """Rows of memories, with an index of their words. Every method may raise StoreUnavailable."""

    async def write(self, namespace: str, records: Sequence[Record]) -> None:
        """Keeps records of one namespace, to be embedded; one that is there with the same digest is left alone."""

    async def read(self, places: Sequence[Place]) -> dict[Place, Record]:
        """Those of these records that there are."""
        ...

    async def page(self, namespace: str, after: str, limit: int) -> list[Record]:
        """Records of a namespace with `id > after`, ordered by id."""
        ...

    async def count(self, namespace: str) -> int:
        """How many there are."""
        ...

    async def remove(self, namespace: str, id: str) -> bool:  # noqa: A002 - the field's word
        """Removes a record; says whether it was there."""
        ...

    async def matches(
        self, namespaces: Sequence[str], words: Sequence[str], facets: Sequence[str], limit: int
    ) -> list[Place]:
        """Where at least one of the words stands, best first: rare words count more than common ones.

        Args:
            namespaces: where to look.
            words: the fewer records have one, the more it counts.
            facets: only records that have all of these.
            limit: at most so many.
        """
        ...

    async def spaces(self, names: Sequence[str] | None = None) -> list[Space]:
        """These namespaces, without those that were never written to; None: all."""
        ...

    async def pending(self, namespace: str, limit: int) -> list[Record]:
        """Records that wait for a vector."""
        ...

    async def settle(self, namespace: str, records: Sequence[Record]) -> None:
        """Marks records as no longer pending, with their `embedded_by` and `fault`, unless they have changed since."""

    async def adopt(self, namespace: str, embedder: str) -> None:
        """Makes every record pending that another embedder has embedded, and gives the namespace this one."""
