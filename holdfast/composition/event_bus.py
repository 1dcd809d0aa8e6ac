"""Construction of the event bus from the settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from holdfast.ports import BusSource, EventBus
from holdfast.settings import Settings

if TYPE_CHECKING:
    from holdfast.storage.persistence import Persistence


def event_bus() -> EventBus:
    """Returns the shared event bus of the process; it connects when it is first used and is never closed.

    Raises:
        SettingsError: a setting has a bad value.
    """
    from holdfast.composition.persistence import shared_persistence  # noqa: PLC0415 - loads the database's client

    return shared_persistence().bus


@asynccontextmanager
async def reachable_bus(settings: Settings) -> AsyncIterator[BusSource]:
    """Provides access to the bus of the workers with these settings; it is opened when it is first requested.

    There is no bus if each process has its own, or if no worker has created the database yet.
    """
    made: list[Persistence] = []

    def bus() -> EventBus | None:
        if not made and is_reachable(settings):
            from holdfast.composition.persistence import open_configured  # noqa: PLC0415 - loads the database's client

            made.append(open_configured(settings, background=True))
        return made[0].bus if made else None

    try:
        yield bus
    finally:
        for persistence in made:
            await persistence.close()


def is_reachable(settings: Settings) -> bool:
    """Returns whether this process can read the bus of workers with these settings."""
    if settings.event_bus_backend == "memory" or settings.missing_database:
        return False
    return settings.store_url.partition("://")[0] in ("surrealkv", "ws", "wss", "http", "https")
