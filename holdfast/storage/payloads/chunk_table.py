"""Where chunks of payloads are kept: a table of bytes, each row under the name of its content."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from surrealdb import RecordID

from holdfast.errors import StoreUnavailable
from holdfast.storage.database import Database
from holdfast.storage.database.surql import statement

FRESH = timedelta(days=7)
"""A row that was stamped within it is not stamped again: the embedded engine never frees what it rewrites."""
SLACK = timedelta(days=2)  # for stamps being days, and for clocks that differ

STATEMENT_BYTES = 2 * 1024 * 1024  # of one write or read; others get their turn in between
NAMES = 500  # rows named in one statement

KEEP = statement("holdfast.storage.payloads", "keep")
LACKING = "SELECT VALUE id FROM $rows WHERE day >= $fresh"
SIZES = "SELECT id, size FROM $rows"
FETCH = "SELECT id, data FROM $rows"
TOTAL = "SELECT count() AS count, math::sum(size) AS bytes FROM payload GROUP ALL"
OLD_TOTAL = "SELECT count() AS count, math::sum(size) AS bytes FROM payload WHERE day < $before GROUP ALL"
OLD = "SELECT id, size FROM payload WHERE day < $before LIMIT $limit"
DROP = "DELETE $rows WHERE day < $before RETURN NONE"


@dataclass(frozen=True)
class Amount:
    """How much there is."""

    count: int
    """Rows."""
    bytes: int
    """Of their data."""


class ChunkTable:
    """Chunks by name; every method may raise StoreUnavailable.

    Args:
        database: shared; never closed here.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def lacking(self, names: Iterable[str]) -> list[str]:
        """Those that must be written to be sure that they stay: not there, or not used for a week."""
        wanted = list(dict.fromkeys(names))
        fresh = _midnight(datetime.now(UTC)) - FRESH
        there: set[str] = set()
        for some in _slices(wanted):
            [found] = await self._database.run(LACKING, rows=_ids(some), fresh=fresh)
            there |= {row.id for row in found}
        return [name for name in wanted if name not in there]

    async def keep(self, chunks: Mapping[str, bytes]) -> None:
        """Writes chunks and stamps them with today; writing again changes no data."""
        day = _midnight(datetime.now(UTC))
        for some in _batches({name: len(data) for name, data in chunks.items()}):
            rows = [
                {"id": RecordID("payload", name), "data": chunks[name], "size": len(chunks[name]), "day": day}
                for name in some
            ]
            results = await self._database.run(KEEP, rows=rows)
            if len(results[-1]) != len(rows):  # a write that permissions forbid is no error to the database
                raise StoreUnavailable("the database did not take a payload: may its user write?")

    async def fetch(self, names: Iterable[str]) -> dict[str, bytes]:
        """Chunks by name; one that is not there is left out."""
        wanted, sizes = list(dict.fromkeys(names)), dict[str, int]()
        for some in _slices(wanted):
            [found] = await self._database.run(SIZES, rows=_ids(some))
            sizes |= {row["id"].id: row["size"] for row in found}
        chunks: dict[str, bytes] = {}
        for some in _batches(sizes):
            [found] = await self._database.run(FETCH, rows=_ids(some))
            chunks |= {row["id"].id: row["data"] for row in found}
        return chunks

    async def amount(self) -> Amount:
        """All that is kept."""
        [found] = await self._database.run(TOTAL)
        return _amount(found)

    async def prune(self, before: datetime, *, dry_run: bool = False) -> Amount:
        """Drops what was last stored well before a moment.

        Nothing that was stored at or after `before` is dropped, so the start of the oldest run whose history Temporal
        still keeps is always safe: no history refers to what was stored before its run began.

        Args:
            before: an aware time; rows are kept for some nine days beyond it, see FRESH and SLACK.
            dry_run: only say what would go.

        Returns:
            What went.
        """
        limit = _midnight(before.astimezone(UTC)) - FRESH - SLACK
        if dry_run:
            [found] = await self._database.run(OLD_TOTAL, before=limit)
            return _amount(found)
        count = size = 0
        while True:
            [rows] = await self._database.run(OLD, before=limit, limit=NAMES)
            if not rows:
                return Amount(count, size)
            await self._database.run(DROP, rows=[row["id"] for row in rows], before=limit)
            count, size = count + len(rows), size + sum(row["size"] for row in rows)


def _ids(names: Iterable[str]) -> list[RecordID]:
    return [RecordID("payload", name) for name in names]


def _slices(names: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(names), NAMES):
        yield names[start : start + NAMES]


def _batches(sizes: Mapping[str, int]) -> Iterator[list[str]]:
    """Names in groups whose data fits one statement."""
    batch: list[str] = []
    total = 0
    for name, size in sizes.items():
        if batch and total + size > STATEMENT_BYTES:
            yield batch
            batch, total = [], 0
        batch.append(name)
        total += size
    if batch:
        yield batch


def _amount(found: list[dict[str, Any]]) -> Amount:
    return Amount(found[0]["count"], found[0]["bytes"]) if found else Amount(0, 0)


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)
