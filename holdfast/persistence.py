"""Everything that is kept, on one backend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from holdfast.database import Database, open_database
from holdfast.ports import Store
from holdfast.store import MemoryStore, SurrealStore


@dataclass(frozen=True)
class Persistence:
    """The parts of one backend, which share its database."""

    database: Database | None
    """None: everything is in this process's memory."""
    store: Store

    async def open(self) -> None:
        """Makes ready; the parts open by themselves too.

        Raises:
            StoreUnavailable: the database is away.
        """
        await self.store.open()

    async def close(self) -> None:
        """Closes the parts, the database last; may be called twice."""
        await self.store.close()
        if self.database is not None:
            await self.database.close()


def open_persistence(url: str, **options: Any) -> Persistence:
    """Gives the backend that a URL names; it connects when it is first used.

    Args:
        url: `memory://` (dictionaries in this process), or what `holdfast.database.open_database` takes.
        options: what `holdfast.database.open_database` takes besides.

    Raises:
        UsageError: the URL is none of these.
    """
    if url == "memory://":
        return Persistence(database=None, store=MemoryStore())
    database = open_database(url, **options)
    return Persistence(database=database, store=SurrealStore(database))
