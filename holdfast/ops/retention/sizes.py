"""Estimates of how much pruning deletes."""

from __future__ import annotations

from datetime import datetime

from holdfast.storage.database import Database
from holdfast.types import RunId

CHARACTERS = "SELECT math::sum(string::len(text)) AS size FROM event:[$id, NONE]..=[$id, ..] GROUP ALL"
OLD_EVENTS = "SELECT count() AS count FROM bus WHERE at < $before GROUP ALL"
REPEATED = 2  # rows of messages and calls repeat the text of events


async def log_bytes(database: Database | None, run_id: RunId) -> int:
    """Returns the estimated bytes of a run's rows, accurate within a factor of two; 0 without a database.

    Raises:
        StoreUnavailable: the database is unavailable.
    """
    if database is None:
        return 0
    [found] = await database.run(CHARACTERS, id=run_id)
    return REPEATED * int(found[0]["size"]) if found else 0


async def old_events(database: Database | None, before: datetime) -> int:
    """Returns the number of events on the bus from before a moment; 0 without a database.

    Raises:
        StoreUnavailable: the database is unavailable.
    """
    if database is None:
        return 0
    [found] = await database.run(OLD_EVENTS, before=before)
    return int(found[0]["count"]) if found else 0
