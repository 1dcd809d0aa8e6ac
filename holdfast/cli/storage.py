"""The storage that commands work on: the same as the worker's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from holdfast.errors import StoreUnavailable, UsageError

if TYPE_CHECKING:
    from holdfast.settings import Settings
    from holdfast.storage.persistence import Persistence

NOT_SHARED = "with these settings, events stay in the process that publishes them: no other can read or add any"


@asynccontextmanager
async def opened_persistence(settings: Settings) -> AsyncIterator[Persistence]:
    """Opens the storage that the settings name, through the process that holds it if it is embedded.

    Raises:
        SettingsError: the address cannot be opened.
        StoreUnavailable: the database is unavailable.
    """
    from holdfast.composition.persistence import open_configured  # noqa: PLC0415 - `--help` needs no database client

    persistence = open_configured(settings)
    try:
        await persistence.open()
        yield persistence
    finally:
        await persistence.close()


def check_kept(settings: Settings, what: str) -> None:
    """Checks that there is a database that a command can work on, as the command must not create one.

    Args:
        settings: name the database.
        what: what the command is about to do, for the message: `exported`.

    Raises:
        UsageError: everything is in the memory of another process.
        StoreUnavailable: there is no database yet.
    """
    if settings.is_in_memory:
        raise UsageError(f"with these settings, each process keeps everything in memory: nothing can be {what}")
    check_made(settings)


def check_made(settings: Settings) -> None:
    """Checks that there is a database, as reading must not create one in whatever folder is the current one.

    Raises:
        StoreUnavailable: there is no database yet.
    """
    if path := settings.missing_database:
        raise StoreUnavailable(
            f"there is no database at {path} yet: a worker creates it. If your database is elsewhere, set "
            "HOLDFAST_HOME or SURREALDB_URL"
        )
