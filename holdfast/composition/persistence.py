"""Construction of the persistence from the settings."""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import partial
from typing import Any

from temporalio.converter import DataConverter

from holdfast.composition.embedder import configured_embedder
from holdfast.composition.keys import key_ring
from holdfast.errors import SettingsError, UsageError
from holdfast.ports.retrieval import Embedder
from holdfast.settings import Settings, revealed
from holdfast.storage.bus import Bus, MemoryLog
from holdfast.storage.database import open_database
from holdfast.storage.database.background import BackgroundDatabase
from holdfast.storage.payloads.chunk_store import ChunkStore
from holdfast.storage.payloads.data_converter import data_converter
from holdfast.storage.persistence import Persistence, open_persistence, persistence_on
from holdfast.storage.registry.memory import shared_in_memory_registry

_guard = threading.Lock()
_persistence: Persistence | None = None


def shared_persistence() -> Persistence:
    """Returns the shared persistence of the process, which works in every event loop.

    It reads the settings when it is first requested and connects when it is first used. It is closed when the process
    ends, or by `close_shared_persistence`; callers do not close it.

    Raises:
        SettingsError: a setting has a bad value.
    """
    global _persistence  # noqa: PLW0603 - one per process is what this is
    with _guard:
        if _persistence is None:
            _persistence = open_configured(Settings.load(), background=True)
        return _persistence


def shared_embedder() -> Embedder | None:
    """Returns the embedder of the shared persistence; `None` means that no embedding model is configured.

    Raises:
        SettingsError: a setting has a bad value.
    """
    return shared_persistence().embedder


async def close_shared_persistence() -> None:
    """Closes the shared persistence of the process; the next request reads the settings again and opens another."""
    global _persistence
    with _guard:
        old, _persistence = _persistence, None
    if old is not None:
        await old.close()


def open_configured(settings: Settings, *, background: bool = False) -> Persistence:
    """Returns the persistence that the settings describe; it connects when it is first used.

    Args:
        settings: the address, the credentials and the encryption keys.
        background: run it in its own thread, for use in any event loop; otherwise it belongs to the loop that uses
            it first.

    Raises:
        SettingsError: the address or a key is not valid, or the embedding model has no provider.
    """
    persistence = _stored_persistence(settings, background=background)
    if settings.is_in_memory:
        persistence = replace(persistence, ledger=None)
    return replace(persistence, bus=Bus(MemoryLog())) if settings.event_bus_backend == "memory" else persistence


def _stored_persistence(settings: Settings, *, background: bool) -> Persistence:
    url, options, keys = settings.store_url, _options(settings), key_ring(settings)
    embedder = configured_embedder(settings)
    try:
        if url == "memory://":
            return replace(open_persistence(url, embedder=embedder), registry=shared_in_memory_registry())
        if not background:
            return open_persistence(url, keys=keys, embedder=embedder, **options)
        open_database(url, **options)  # reports a bad address now instead of at the first use
        return persistence_on(BackgroundDatabase(lambda: open_database(url, **options)), keys, embedder)
    except UsageError as error:
        raise SettingsError(f"SURREALDB_URL is not accepted: {error}") from None


def converter(settings: Settings, persistence: Persistence) -> DataConverter:
    """Returns the data converter for these settings; it uses the persistence only for large payloads.

    Raises:
        SettingsError: the encryption key is not valid.
    """
    keys, payloads = key_ring(settings), persistence.payloads
    return data_converter(partial(ChunkStore, payloads, keys) if payloads is not None else None, keys)


def _options(settings: Settings) -> dict[str, Any]:
    return {
        "namespace": settings.surrealdb_namespace,
        "database": settings.surrealdb_database,
        "username": settings.surrealdb_username,
        "password": revealed(settings.surrealdb_password),
        "shared": True,
    }
