"""Reads what a namespace has, page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from holdfast.storage.database import Database
from holdfast.storage.vectors.rows import Row, key

PAGE_SIZE = 200  # rows a statement reads: 0.6 MB of 384 numbers each, and others get their turn in between


async def pages(database: Database, statement: str, namespace: str, **values: Any) -> AsyncIterator[list[Row]]:
    """The pages of a statement that takes `$namespace`, `$after` and `$limit`, in the order of keys.

    Args:
        database: where it runs.
        statement: selects rows with ids `[namespace, key]`, from the first key after `$after`.
        namespace: whose rows.
        values: what else it takes.
    """
    after = ""
    while True:
        [rows] = await database.run(statement, namespace=key(namespace), after=after, limit=PAGE_SIZE, **values)
        yield rows
        if len(rows) < PAGE_SIZE:
            return
        after = rows[-1]["id"].id[1]
