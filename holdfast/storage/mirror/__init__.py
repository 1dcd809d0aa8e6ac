"""The mirror of every run: its implementations, and the choice between them by URL."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

from holdfast.errors import UsageError
from holdfast.ports import Store
from holdfast.storage.database import KNOWN, SCHEMES, open_database
from holdfast.storage.mirror.memory import MemoryStore
from holdfast.storage.mirror.surreal import SurrealStore

__all__ = ["MemoryStore", "SurrealStore", "open_store"]

ENTRY_POINTS = "holdfast.stores"
"""The entry point group of stores in installed packages. The name is a URL scheme; the value is a callable that takes
the URL and the options of `open_store`, and returns a `Store`."""


def open_store(url: str, **options: Any) -> Store:
    """Returns the store that a URL names; it connects on first use and closes its own database.

    Args:
        url: `memory://` (dictionaries in this process), a URL that `open_database` accepts, or one with the scheme of
            an installed package.
        options: further arguments of `holdfast.storage.database.open_database`.

    Raises:
        UsageError: the URL is none of these, or the package's store cannot be loaded.
    """
    scheme, separator, _ = url.partition("://")
    if url == "memory://":
        return MemoryStore()
    if scheme in SCHEMES and separator:
        return SurrealStore(open_database(url, **options))
    return _installed_store(scheme, url, options)


def _installed_store(scheme: str, url: str, options: dict[str, Any]) -> Store:
    installed = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if "://" not in url or scheme not in installed:
        others = "".join(f", {name}://" for name in sorted(installed))
        raise UsageError(
            f"store URL {url!r} has an unknown scheme; use one of memory://, {KNOWN}{others}. "
            f"Packages add schemes through the entry point group {ENTRY_POINTS!r}"
        )
    point = installed[scheme]
    try:
        make = point.load()
    except Exception as error:
        raise UsageError(f"the store {scheme}:// ({point.value}) cannot be loaded: {error}") from error
    store = make(url, **options)
    if not isinstance(store, Store):
        raise UsageError(f"the store {scheme}:// ({point.value}) lacks a method of holdfast.ports.Store")
    return store
