"""The search index of a namespace: built as a whole, and rebuilt after many writes.

An index that follows each write is too expensive. The engine then writes the index's whole graph, some 260 bytes per
vector, with every vector, and never frees the space: 0.4 GB for 2,000 vectors, 25 times as much for five times as many.
Deleting a vector takes 50 ms, and deleting some hundred blocks a server's index for seconds. An index that is built
over existing rows takes 4 KB per vector, and searches continue meanwhile.

So a write adds its vector to a backlog. A search compares the backlog directly, and queries the index for the rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from dataclasses import replace
from typing import Any

from surrealdb import RecordID

from holdfast._util.blocking import run_blocking
from holdfast.errors import StoreUnavailable
from holdfast.storage.database import Database, WriteConflict
from holdfast.storage.database.surql import statement
from holdfast.storage.vectors.pages import pages
from holdfast.storage.vectors.rows import Row, entry, key, record_from
from holdfast.storage.vectors.space import Space, Spaces, fill

ALL = statement("holdfast.storage.vectors", "all")
CLAIM = statement("holdfast.storage.vectors", "claim")
SWITCH = statement("holdfast.storage.vectors", "switch")
RETIRE = statement("holdfast.storage.vectors", "retire")
BACKLOG = "SELECT id, stamp FROM vector_backlog:[$namespace, $after]>..=[$namespace, ..] LIMIT $limit"
BACKLOG_SIZE = "SELECT count() FROM vector_backlog:[$namespace, '']..=[$namespace, ..] GROUP ALL"
DISCARD = "DELETE $pending WHERE stamp IN $stamps RETURN NONE"
REMOVE = "REMOVE TABLE IF EXISTS <nearest>"
TABLE = "DEFINE TABLE IF NOT EXISTS <nearest> SCHEMALESS COMMENT 'a search index over rows of `vector`'"
INSERT = "INSERT IGNORE INTO <nearest> $entries RETURN NONE"
INDEX = """DEFINE INDEX IF NOT EXISTS nearest ON <nearest> FIELDS unit
    HNSW DIMENSION <dimension> DIST COSINE TYPE F32 EFC <efc> M <m> CONCURRENTLY"""
PROGRESS = "INFO FOR INDEX nearest ON <nearest>"

# Measured on 2,000 random unit vectors of 384 numbers, the hardest there are: with these and the EF of a search,
# recall@10 is 0.99 and more on both engines. Of M 12 to 24 and EFC 64 to 150 that come so far, none builds faster.
M = 24  # neighbours of a vector
EFC = 64  # candidates for them

MAX_BACKLOG = 400  # vectors that searches compare directly, which takes as long as an index query, some 40 ms
SHARE = (
    4  # a quarter of what the index knows may be backlog: so each vector is indexed five times at most, as all grows
)
LOOK = 100  # writes before the backlog is counted again
POLL = 0.1  # seconds between two looks at how far the database is


def backlog_row(row: RecordID) -> Row:
    """Returns the row which records that a vector was written or deleted, and that the index does not know it yet."""
    return {"id": RecordID("vector_backlog", row.id), "row": row, "stamp": uuid.uuid4().hex}


class Index:
    """The index of one namespace.

    Args:
        database: where it is.
        namespace: whose.
        spaces: find its space.
    """

    def __init__(self, database: Database, namespace: str, spaces: Spaces) -> None:
        self._database, self._namespace, self._spaces = database, namespace, spaces
        self._unseen = 0
        """Rows added to the backlog since it was last counted."""

    async def written(self, count: int) -> None:
        """Rebuilds the index if the backlog has become too large for searches; that takes a while.

        Args:
            count: how many rows were added to the backlog.
        """
        self._unseen += count
        if self._unseen < LOOK:
            return
        self._unseen = 0
        space = await self._spaces.find()
        if space and await self._backlog_size() > max(MAX_BACKLOG, space.learned // SHARE):
            await self.build()

    async def build(self) -> None:
        """Builds it, unless another process does; searches use the old index until it is ready.

        Raises:
            StoreUnavailable: the database cannot build it.
        """
        builder = uuid.uuid4().hex
        with contextlib.suppress(WriteConflict):  # another process builds it
            await self._claim(builder)
            space = await self._spaces.find()  # only now, as another process may have replaced the index meanwhile
            if space is not None:
                await self._replace(space, builder)

    async def _replace(self, space: Space, builder: str) -> None:
        pending = [row async for page in pages(self._database, BACKLOG, self._namespace) for row in page]
        nearest = space.other_table
        learned = await self._fill(nearest, builder)
        await self._build(nearest, space.dimension, builder)
        await self._switch(nearest, learned, builder)
        await self._discard(pending, builder)
        old = replace(space, nearest=nearest).other_table
        await self._database.run(fill(RETIRE, nearest=old), space=self._spaces.row, builder=builder)

    async def _backlog_size(self) -> int:
        [rows] = await self._database.run(BACKLOG_SIZE, namespace=key(self._namespace))
        return int(rows[0]["count"]) if rows else 0

    async def _claim(self, builder: str) -> None:
        [claimed] = await self._database.run(CLAIM, space=self._spaces.row, builder=builder)
        if claimed != [builder]:
            raise WriteConflict("another process builds the index")

    async def _fill(self, nearest: str, builder: str) -> int:
        """Copies all vectors into a table of their own; what is there is left from a builder that died."""
        await self._database.run(fill(REMOVE, nearest=nearest))
        await self._database.run(fill(TABLE, nearest=nearest))
        learned = 0
        async for rows in pages(self._database, ALL, self._namespace, facets=[]):
            entries = await run_blocking(self._entries, nearest, rows)
            await self._database.run(fill(INSERT, nearest=nearest), entries=entries)
            await self._claim(builder)
            learned += len(rows)
        return learned

    def _entries(self, nearest: str, rows: list[Row]) -> list[Row]:
        return [entry(self._namespace, nearest, record_from(row)) for row in rows]

    async def _build(self, nearest: str, dimension: int, builder: str) -> None:
        await self._database.run(fill(INDEX, nearest=nearest, dimension=dimension, efc=EFC, m=M))
        while (status := await self._status(nearest)) != "ready":
            if status == "error":
                raise StoreUnavailable(f"the database cannot build the index of vector namespace {self._namespace!r}")
            await asyncio.sleep(POLL)
            await self._claim(builder)

    async def _status(self, nearest: str) -> str:
        [found] = await self._database.run(fill(PROGRESS, nearest=nearest))
        building: dict[str, Any] = found.get("building") or {}
        return str(building.get("status", "started"))

    async def _switch(self, nearest: str, learned: int, builder: str) -> None:
        values = {"nearest": nearest, "learned": learned, "builder": builder}
        [switched] = await self._database.run(SWITCH, space=self._spaces.row, **values)
        if switched != [nearest]:
            raise WriteConflict("another process builds the index")

    async def _discard(self, pending: list[Row], builder: str) -> None:
        """Deletes the backlog rows of vectors that were not written again since; each that stays costs a comparison."""
        for first in range(0, len(pending), LOOK):
            some = pending[first : first + LOOK]
            await self._database.run(
                DISCARD, pending=[each["id"] for each in some], stamps=[each["stamp"] for each in some]
            )
            await self._claim(builder)
