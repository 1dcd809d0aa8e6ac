"""Export and import of text memories; their vectors are exported with all other vectors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from pydantic import AwareDatetime
from typing_extensions import override

from holdfast._util.batches import batches
from holdfast.ops.transfer.bundle import Item
from holdfast.ops.transfer.part import Part, Tally
from holdfast.ops.transfer.storable import check_storable
from holdfast.ports.retrieval import Memory
from holdfast.storage.database import Database, retry_conflicts
from holdfast.storage.database.surql import statement
from holdfast.storage.memory.record import make_record
from holdfast.storage.memory.rows import FIELDS, Row, new_row, record_from, space_id
from holdfast.storage.memory.surreal import ALL_SPACES, DIGESTS, WRITE_BYTES, WRITE_ROWS
from holdfast.storage.memory.vectors import vectors_namespace
from holdfast.storage.vectors.rows import row_id

REMEMBER = statement("holdfast.ops.transfer", "remember")
PAGE = f"SELECT {FIELDS}, pending FROM memory:[$namespace, $after]>..=[$namespace, ..] LIMIT $limit"  # noqa: S608
VECTORS = "SELECT VALUE id FROM $vectors"
PAGE_ROWS = 100  # a memory has at most 64 KB, and typically 2 KB


class _Memory(Memory):
    kind: str = "memory"
    space: str | None
    """The embedder of the whole namespace; `None` means that it was never embedded."""
    pending: bool
    """Whether it has no vector yet."""
    added_at: AwareDatetime


class Memories(Part):
    """All memory namespaces of a database. An imported memory without its vector is embedded again.

    Args:
        database: stores the memories.
    """

    name = "memories"
    kinds = ("memory",)

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    async def dump(self) -> AsyncIterator[Item]:
        [spaces] = await self._database.run(ALL_SPACES)
        for space in spaces:
            namespace, embedder = space["id"].id, space.get("embedder")
            async for row in self._rows(namespace):
                public = record_from(row).public().model_dump()
                memory = _Memory(**public, space=embedder, pending=row.get("pending") is not None)
                yield memory.model_dump(mode="json")

    @override
    def check(self, item: Item) -> None:
        memory = _Memory.model_validate(item)
        check_storable([_row(memory), memory.space])

    @override
    async def load(self, items: Sequence[Item]) -> Tally:
        tally = Tally()
        memories = [_Memory.model_validate(item) for item in items]
        for (namespace, embedder), group in groupby(memories, lambda memory: (memory.namespace, memory.space)):
            for batch in batches(group, most=WRITE_ROWS, size=WRITE_BYTES, measure=lambda memory: len(memory.text)):
                new = await self._new(namespace, batch, tally)
                if new:
                    await self._write(namespace, embedder, await self._embeddable(namespace, new))
                    tally.written += len(new)
        return tally

    async def _rows(self, namespace: str) -> AsyncIterator[Row]:
        after = ""
        while True:
            [rows] = await self._database.run(PAGE, namespace=namespace, after=after, limit=PAGE_ROWS)
            for row in rows:
                yield row
            if len(rows) < PAGE_ROWS:
                return
            after = rows[-1]["id"].id[1]

    async def _new(self, namespace: str, memories: Sequence[_Memory], tally: Tally) -> list[Row]:
        """Returns the rows of memories that do not exist yet."""
        rows = {memory.id: _row(memory) for memory in memories}
        [found] = await self._database.run(DIGESTS, memories=[row["id"] for row in rows.values()])
        for here in found:
            key = here["id"].id[1]
            if here["digest"] == rows.pop(key)["digest"]:
                tally.same += 1
            else:
                tally.kept.append(f"memory {key!r} of namespace {namespace!r} differs from the stored one")
        return list(rows.values())

    async def _embeddable(self, namespace: str, rows: list[Row]) -> list[Row]:
        """Returns the rows; those whose vectors do not exist are pending."""
        vectors = {
            row["id"].id[1]: row_id(vectors_namespace(row["embedded_by"], namespace), row["id"].id[1])
            for row in rows
            if row["embedded_by"] is not None
        }
        [found] = await self._database.run(VECTORS, vectors=list(vectors.values()))
        there = {str(vector) for vector in found}
        lost = {key for key, vector in vectors.items() if str(vector) not in there}
        return [row | {"embedded_by": None, "pending": namespace} if row["id"].id[1] in lost else row for row in rows]

    async def _write(self, namespace: str, embedder: str | None, rows: list[Row]) -> None:
        values: dict[str, Any] = {"space": space_id(namespace), "embedder": embedder, "rows": rows}
        await retry_conflicts(lambda: self._database.run(REMEMBER, **values), f"memory namespace {namespace!r}")


def _row(memory: _Memory) -> Row:
    """Returns the row of an exported memory; raises ValueError if it could not have been stored."""
    record = make_record(memory.namespace, memory.text, memory.metadata, key=memory.id)
    if (record.text, record.metadata) != (memory.text, memory.metadata):
        raise ValueError("the text or the metadata of this memory is not valid")
    row = new_row(replace(record, added_at=memory.added_at))
    row["pending"] = memory.namespace if memory.pending else None
    return row | {"embedded_by": memory.embedded_by, "fault": memory.fault}
