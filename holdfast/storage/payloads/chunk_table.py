"""Tables of chunks: one row of bytes per chunk, named by its content."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from surrealdb import RecordID

from holdfast._util.batches import batches
from holdfast.errors import StoreUnavailable
from holdfast.storage.database import Database, old_rows
from holdfast.storage.database.surql import statement
from holdfast.storage.days import oldest_fresh, prunable_before, today

STATEMENT_BYTES = 2 * 1024 * 1024  # per write or read, so that other statements run in between
NAMES = 500  # rows per statement

KEEP = statement("holdfast.storage.payloads", "keep")
LACKING = "SELECT VALUE id FROM $rows WHERE day >= $fresh"
SIZES = "SELECT id, size FROM $rows"
FETCH = "SELECT id, data FROM $rows"
TOTAL = "SELECT count() AS count, math::sum(size) AS bytes FROM {table} GROUP ALL"
OLD_TOTAL = "SELECT count() AS count, math::sum(size) AS bytes FROM {table} WHERE day < $before GROUP ALL"
OLD = "SELECT id, size FROM {table} WHERE day < $before LIMIT $limit"
PAGE = "SELECT id, size, day FROM {{{{record}}}}('{table}', $after>..) LIMIT $limit"
DROP = "DELETE $rows WHERE day < $before RETURN NONE"


@dataclass(frozen=True)
class Amount:
    """A number of rows and their size."""

    count: int
    """Number of rows."""
    bytes: int
    """Bytes of their data."""


class ChunkTable:
    """Stores chunks by name; every method may raise StoreUnavailable.

    Args:
        database: the database; it is never closed here.
        table: name of the table; inserted into statements, so it must be a trusted name.
    """

    def __init__(self, database: Database, table: str = "payload") -> None:
        self._database = database
        self.table = table

    async def lacking(self, names: Iterable[str]) -> list[str]:
        """Returns the names that must be written: those that are missing or about to be pruned."""
        wanted = list(dict.fromkeys(names))
        fresh = oldest_fresh()
        there: set[str] = set()
        for some in batches(wanted, most=NAMES):
            [found] = await self._database.run(LACKING, rows=self._ids(some), fresh=fresh)
            there |= {row.id for row in found}
        return [name for name in wanted if name not in there]

    async def keep(self, chunks: Mapping[str, bytes]) -> None:
        """Writes chunks with today's date; writing a chunk again only renews its date."""
        day = today()
        for some in batches(chunks, size=STATEMENT_BYTES, measure=lambda name: len(chunks[name])):
            rows = [
                {"id": RecordID(self.table, name), "data": chunks[name], "size": len(chunks[name]), "day": day}
                for name in some
            ]
            results = await self._database.run(KEEP.format(table=self.table), rows=rows)
            if len(results[-1]) != len(rows):  # the database does not report a write that permissions forbid
                raise StoreUnavailable("the database ignored a payload: check that its user may write")

    async def fetch(self, names: Iterable[str]) -> dict[str, bytes]:
        """Returns chunks by name, without those that are missing."""
        wanted, sizes = list(dict.fromkeys(names)), dict[str, int]()
        for some in batches(wanted, most=NAMES):
            [found] = await self._database.run(SIZES, rows=self._ids(some))
            sizes |= {row["id"].id: row["size"] for row in found}
        chunks: dict[str, bytes] = {}
        for some in batches(sizes, size=STATEMENT_BYTES, measure=sizes.__getitem__):
            [found] = await self._database.run(FETCH, rows=self._ids(some))
            chunks |= {row["id"].id: row["data"] for row in found}
        return chunks

    async def amount(self) -> Amount:
        """Returns the amount of all chunks."""
        [found] = await self._database.run(TOTAL.format(table=self.table))
        return _amount(found)

    async def prune(self, before: datetime, *, dry_run: bool = False) -> Amount:
        """Deletes chunks that were last stored well before a time.

        Nothing that was stored at or after `before` is deleted. So the start of the oldest run that Temporal still has
        is always safe: no history refers to chunks that were stored before its run began.

        Args:
            before: an aware time; rows are kept for some nine days beyond it, see `prunable_before`.
            dry_run: only return what would be deleted.

        Returns:
            The amount that was deleted.
        """
        limit = prunable_before(before)
        if dry_run:
            [found] = await self._database.run(OLD_TOTAL.format(table=self.table), before=limit)
            return _amount(found)
        count = size = 0
        async for rows in old_rows(self._database, OLD.format(table=self.table), before=limit):
            await self._database.run(DROP, rows=[row["id"] for row in rows], before=limit)
            count, size = count + len(rows), size + sum(row["size"] for row in rows)
        return Amount(count, size)

    async def sweep(self, used: Container[str], *, dry_run: bool = False) -> Amount:
        """Deletes chunks that are not in use, unless they were stored in the last days: they may be in use soon.

        Args:
            used: the names of the chunks that stay.
            dry_run: only return what would be deleted.

        Returns:
            The amount that was deleted.
        """
        limit, after = prunable_before(datetime.now(UTC)), ""
        count = size = 0
        while True:
            [rows] = await self._database.run(PAGE.format(table=self.table), after=after, limit=NAMES)
            unused = [row for row in rows if row["day"] < limit and row["id"].id not in used]
            if unused and not dry_run:
                await self._database.run(DROP, rows=[row["id"] for row in unused], before=limit)
            count, size = count + len(unused), size + sum(row["size"] for row in unused)
            if len(rows) < NAMES:
                return Amount(count, size)
            after = rows[-1]["id"].id

    def _ids(self, names: Iterable[str]) -> list[RecordID]:
        return [RecordID(self.table, name) for name in names]


def _amount(found: list[dict[str, Any]]) -> Amount:
    return Amount(found[0]["count"], found[0]["bytes"]) if found else Amount(0, 0)
