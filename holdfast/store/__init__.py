"""Stores: where the mirror of every run is kept."""

from __future__ import annotations

from typing import Any

from holdfast.database import open_database
from holdfast.ports import Store
from holdfast.store.memory import MemoryStore
from holdfast.store.surreal import SurrealStore

__all__ = ["MemoryStore", "SurrealStore", "open_store"]


def open_store(url: str, **options: Any) -> Store:
    """Gives the store that a URL names; it connects when it is first used, and closes its own database.

    Args:
        url: `memory://` (dictionaries in this process), or what `holdfast.database.open_database` takes.
        options: what `holdfast.database.open_database` takes besides.

    Raises:
        UsageError: the URL is none of these.
    """
    if url == "memory://":
        return MemoryStore()
    return SurrealStore(open_database(url, **options))
