"""Export and import of chunks: of large payloads, and of the files of workspaces. Encrypted chunks stay encrypted."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator, Sequence

from typing_extensions import override

from holdfast.ops.transfer.bundle import Item
from holdfast.ops.transfer.part import Part, Tally
from holdfast.storage.database import Database
from holdfast.storage.payloads.chunk_table import ChunkTable

PAGE = "SELECT id, data FROM {{record}}($table, $after>..) LIMIT $limit"
PAGE_ROWS = 16  # of 128 KB at most
NAME = re.compile(r"[0-9a-f]{64}")


class Chunks(Part):
    """The chunks of a table; for retention, each counts as used on the day of its import.

    Args:
        database: the database of the chunks.
        store: the table of chunks in that database, whose name is the kind of its items.
        name: see `Part.name`.
    """

    def __init__(self, database: Database, store: ChunkTable, name: str) -> None:
        self._database = database
        self._store = store
        self._name = name

    @property
    @override
    def name(self) -> str:
        return self._name

    @property
    @override
    def kinds(self) -> Sequence[str]:
        return (self._store.table,)

    @override
    async def dump(self) -> AsyncIterator[Item]:
        after = ""
        while True:
            [rows] = await self._database.run(PAGE, table=self._store.table, after=after, limit=PAGE_ROWS)
            for row in rows:
                yield {"kind": self._store.table, "name": row["id"].id, "data": base64.b64encode(row["data"]).decode()}
            if len(rows) < PAGE_ROWS:
                return
            after = rows[-1]["id"].id

    @override
    def check(self, item: Item) -> None:
        _chunk(item)

    @override
    async def load(self, items: Sequence[Item]) -> Tally:
        chunks = dict(map(_chunk, items))
        lacking = await self._store.lacking(chunks)
        if lacking:
            await self._store.keep({name: chunks[name] for name in lacking})
        return Tally(written=len(lacking), same=len(chunks) - len(lacking))


def _chunk(item: Item) -> tuple[str, bytes]:
    name, data = item.get("name"), item.get("data")
    if not isinstance(name, str) or not NAME.fullmatch(name) or not isinstance(data, str):
        raise ValueError("a chunk must have a `name` of 64 hexadecimal digits, and `data`")
    return name, base64.b64decode(data, validate=True)
