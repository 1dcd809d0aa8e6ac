"""Rows that are too old, found a batch at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from holdfast.storage.database.database import Database

BATCH_ROWS = 500  # per statement, so that other statements run in between


async def old_rows(database: Database, query: str, *, before: datetime) -> AsyncIterator[list[Any]]:
    """Yields what a query finds, until it finds nothing more.

    Delete each batch before you take the next one, which would otherwise be the same.

    Args:
        database: the database.
        query: finds up to `$limit` rows from before `$before`.
        before: an aware time.
    """
    while True:
        [rows] = await database.run(query, before=before, limit=BATCH_ROWS)
        if not rows:
            return
        yield rows
