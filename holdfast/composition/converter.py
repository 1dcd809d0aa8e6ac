"""Data converter of clients; it loads the database's SDK only when it meets a large payload."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from temporalio.converter import DataConverter

from holdfast.composition.keys import key_ring
from holdfast.settings import Settings
from holdfast.storage.payloads.data_converter import data_converter

if TYPE_CHECKING:
    from holdfast.storage.payloads.chunk_store import ChunkStore
    from holdfast.storage.persistence import Persistence


@asynccontextmanager
async def client_converter(settings: Settings) -> AsyncIterator[DataConverter]:
    """Provides a converter that opens its own persistence when it meets the first large payload.

    Raises:
        SettingsError: a setting has a bad value.
    """
    keys, lazy = key_ring(settings), _LazyPersistence(settings)
    stored = settings.store_url != "memory://"
    try:
        yield data_converter(lazy.chunk_store if stored else None, keys)
    finally:
        await lazy.close()


class _LazyPersistence:
    """Opens the persistence on demand: importing the database's SDK takes longer than everything else."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._opened: Persistence | None = None

    def chunk_store(self) -> ChunkStore:
        from holdfast.composition.persistence import open_configured  # noqa: PLC0415
        from holdfast.storage.payloads.chunk_store import ChunkStore  # noqa: PLC0415

        self._opened = open_configured(self._settings)
        assert self._opened.payloads is not None, "every database stores payloads"
        return ChunkStore(self._opened.payloads, key_ring(self._settings))

    async def close(self) -> None:
        if self._opened is not None:
            await self._opened.close()
