"""How much there is to drop, roughly."""

from __future__ import annotations

from datetime import datetime

from holdfast.storage.database import Database
from holdfast.types import RunId

CHARACTERS = "SELECT math::sum(string::len(text)) AS size FROM event:[$id, NONE]..=[$id, ..] GROUP ALL"
OLD_EVENTS = "SELECT count() AS count FROM bus WHERE at < $before GROUP ALL"
REPEATED = 2  # what is said stands in the rows of messages and calls once more


async def log_bytes(database: Database | None, run_id: RunId) -> int:
    """Bytes of a run's rows, give or take a half; 0 where there is no database to ask.

    Raises:
        StoreUnavailable: the database is away.
    """
    if database is None:
        return 0
    [found] = await database.run(CHARACTERS, id=run_id)
    return REPEATED * int(found[0]["size"]) if found else 0


async def old_events(database: Database | None, before: datetime) -> int:
    """Events on the bus of before a moment; 0 where there is no database to ask.

    Raises:
        StoreUnavailable: the database is away.
    """
    if database is None:
        return 0
    [found] = await database.run(OLD_EVENTS, before=before)
    return int(found[0]["count"]) if found else 0
