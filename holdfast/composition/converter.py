"""What clients need to read and write payloads; light, as most of them never meet a large one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from temporalio.converter import DataConverter

from holdfast.errors import SettingsError, UsageError
from holdfast.payloads.convert import data_converter
from holdfast.payloads.keys import SETTING, KeyRing
from holdfast.settings import Settings

if TYPE_CHECKING:
    from holdfast.payloads.shelf import Shelf
    from holdfast.persistence import Persistence


def key_ring(settings: Settings) -> KeyRing | None:
    """The keys that settings give; None: nothing is encrypted.

    Raises:
        SettingsError: they are none; the message does not show them.
    """
    if settings.holdfast_encryption_key is None:
        return None
    try:
        return KeyRing.parse(settings.holdfast_encryption_key.get_secret_value())
    except UsageError as error:
        raise SettingsError(f"{SETTING}=(hidden) is not accepted: {error}") from None


@asynccontextmanager
async def client_converter(settings: Settings) -> AsyncIterator[DataConverter]:
    """A converter with a persistence of its own, which is opened when a large payload is met.

    Raises:
        SettingsError: a setting has a bad value.
    """
    keys, lazily = key_ring(settings), _Lazily(settings)
    stored = settings.store_url != "memory://"
    try:
        yield data_converter(lazily.shelf if stored else None, keys)
    finally:
        await lazily.close()


class _Lazily:
    """Loads the database's client only for whoever needs it: it takes longer to load than all the rest."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._opened: Persistence | None = None

    def shelf(self) -> Shelf:
        from holdfast.configured import open_configured  # noqa: PLC0415
        from holdfast.payloads.shelf import Shelf  # noqa: PLC0415

        self._opened = open_configured(self._settings)
        assert self._opened.payloads is not None, "every database has room for payloads"
        return Shelf(self._opened.payloads, key_ring(self._settings))

    async def close(self) -> None:
        if self._opened is not None:
            await self._opened.close()
