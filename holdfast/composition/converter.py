"""What clients need to read and write payloads; light, as most of them never meet a large one."""

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
    """A converter with a persistence of its own, which is opened when a large payload is met.

    Raises:
        SettingsError: a setting has a bad value.
    """
    keys, lazily = key_ring(settings), _Lazily(settings)
    stored = settings.store_url != "memory://"
    try:
        yield data_converter(lazily.chunk_store if stored else None, keys)
    finally:
        await lazily.close()


class _Lazily:
    """Loads the database's client only for whoever needs it: it takes longer to load than all the rest."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._opened: Persistence | None = None

    def chunk_store(self) -> ChunkStore:
        from holdfast.composition.persistence import open_configured  # noqa: PLC0415
        from holdfast.storage.payloads.chunk_store import ChunkStore  # noqa: PLC0415

        self._opened = open_configured(self._settings)
        assert self._opened.payloads is not None, "every database has room for payloads"
        return ChunkStore(self._opened.payloads, key_ring(self._settings))

    async def close(self) -> None:
        if self._opened is not None:
            await self._opened.close()
