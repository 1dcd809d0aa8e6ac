"""Construction of the event bus from the settings."""

from __future__ import annotations

from holdfast.composition.reachable import is_shared
from holdfast.ports import EventBus
from holdfast.settings import Settings


def event_bus() -> EventBus:
    """Returns the shared event bus of the process; it connects when it is first used and is never closed.

    Raises:
        SettingsError: a setting has a bad value.
    """
    from holdfast.composition.persistence import shared_persistence  # noqa: PLC0415 - loads the database's client

    return shared_persistence().bus


def is_reachable(settings: Settings) -> bool:
    """Returns whether this process can read the bus of workers with these settings."""
    return settings.event_bus_backend != "memory" and is_shared(settings)
