"""What commands keep their things in: the same as the worker, and beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from holdfast.composition.persistence import open_configured
from holdfast.errors import StoreUnavailable, UsageError
from holdfast.settings import Settings
from holdfast.storage.persistence import Persistence


@asynccontextmanager
async def opened_persistence(settings: Settings) -> AsyncIterator[Persistence]:
    """What the settings ask for, through the process that holds it where it is embedded; closed after the block.

    Raises:
        SettingsError: the place is not one that can be opened.
        StoreUnavailable: the database is away.
    """
    persistence = open_configured(settings)
    try:
        await persistence.open()
        yield persistence
    finally:
        await persistence.close()


def check_kept(settings: Settings, what: str) -> None:
    """Says in plain words that there is nothing that a command could work on; it must not make a database by itself.

    Args:
        settings: where it would be.
        what: the command is to do, for the message: `exported`.

    Raises:
        UsageError: everything is in the memory of another process.
        StoreUnavailable: there is no database yet.
    """
    if settings.is_in_memory:
        raise UsageError(f"the settings keep everything in the memory of each process: nothing can be {what}")
    check_made(settings)


def check_made(settings: Settings) -> None:
    """Asking must not make a database where there is none, in whatever folder one happens to be.

    Raises:
        StoreUnavailable: there is no database yet.
    """
    if place := settings.missing_database:
        raise StoreUnavailable(
            f"there is no database at {place} yet: a worker makes it. If there is one elsewhere, HOLDFAST_HOME or "
            "SURREALDB_URL says where"
        )
