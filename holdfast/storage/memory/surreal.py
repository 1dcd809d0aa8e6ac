"""Memories in SurrealDB, embedded or on a server.

A server searches its own full-text index. An embedded database uses `LocalWords` instead, which performs every write
to memories.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from typing_extensions import override

from holdfast._util.batches import batches
from holdfast.errors import StoreUnavailable
from holdfast.storage.database import Database, retry_conflicts
from holdfast.storage.database.local_index import call_index
from holdfast.storage.database.surql import statement
from holdfast.storage.memory.record import Record
from holdfast.storage.memory.rows import FIELDS, memory_id, new_row, record_from, space_id
from holdfast.storage.memory.table import MemoryTable, Place, Space

WRITE = statement("holdfast.storage.memory", "write")
REMOVE = statement("holdfast.storage.memory", "remove")
SETTLE = statement("holdfast.storage.memory", "settle")
ADOPT = statement("holdfast.storage.memory", "adopt")
MATCH = statement("holdfast.storage.memory", "match")
DIGESTS = "SELECT id, digest FROM $memories"
READ = f"SELECT {FIELDS} FROM $memories"  # noqa: S608 - names of fields
PAGE = f"SELECT {FIELDS} FROM memory:[$namespace, $after]>..=[$namespace, ..] LIMIT $limit"  # noqa: S608
COUNT = "SELECT count() FROM memory:[$namespace, '']..=[$namespace, ..] GROUP ALL"
PENDING = f"SELECT {FIELDS} FROM memory WHERE pending = $namespace LIMIT $limit"  # noqa: S608
SPACES = "SELECT id, revision, embedder FROM $spaces"
ALL_SPACES = "SELECT id, revision, embedder FROM memory_space"
ADOPTED = "UPSERT $space SET revision = (revision ?? 0) + 1, embedder = $embedder RETURN VALUE revision"

WRITE_ROWS = 100  # in one transaction: some 50 ms, during which other writes wait
WRITE_BYTES = 256 * 1024  # of text in one transaction, for the same reason
ADOPT_ROWS = 500  # in one statement
MATCHES_PER_WORD = 200  # a word with more matches says little about a record
PRESENCE = 0.1  # score of a word that is so common that the database scores it zero or less


class SurrealTable(MemoryTable):
    """A MemoryTable on SurrealDB.

    Args:
        database: stores the rows; closing the table does not close it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    async def write(self, namespace: str, records: Sequence[Record]) -> None:
        for batch in batches(records, most=WRITE_ROWS, size=WRITE_BYTES, measure=lambda record: len(record.text)):
            rows = [new_row(record) for record in await self._changed(batch)]
            if not rows:
                continue
            results = await self._write(namespace, WRITE, rows=rows)
            if [row["digest"] for row in rows] not in results:  # the database reports no error for a denied write
                raise StoreUnavailable(
                    f"the database did not store memories of {namespace!r}: check that its user may write"
                )

    @override
    async def read(self, places: Sequence[Place]) -> dict[Place, Record]:
        if not places:
            return {}
        [rows] = await self._database.run(READ, memories=[memory_id(*place) for place in places])
        return {(record.namespace, record.id): record for record in map(record_from, rows)}

    @override
    async def page(self, namespace: str, after: str, limit: int) -> list[Record]:
        [rows] = await self._database.run(PAGE, namespace=namespace, after=after, limit=limit)
        return [record_from(row) for row in rows]

    @override
    async def count(self, namespace: str) -> int:
        [rows] = await self._database.run(COUNT, namespace=namespace)
        return rows[0]["count"] if rows else 0

    @override
    async def remove(self, namespace: str, id: str) -> bool:
        memory = memory_id(namespace, id)
        [found] = await self._database.run(DIGESTS, memories=[memory])
        if not found:
            return False
        await self._write(namespace, REMOVE, removed=[id], memory=memory)
        [left] = await self._database.run(DIGESTS, memories=[memory])
        if left:
            raise StoreUnavailable(
                f"the database did not delete a memory of {namespace!r}: check that its user may write"
            )
        return True

    @override
    async def matches(
        self, namespaces: Sequence[str], words: Sequence[str], facets: Sequence[str], limit: int
    ) -> list[Place]:
        if not words or not namespaces:
            return []
        wanted: dict[str, Any] = {
            "namespaces": list(namespaces),
            "words": list(words),
            "facets": list(facets),
            "limit": limit,
        }
        places = await call_index(self._database, "words", "matches", **wanted)
        return await self._server_matches(**wanted) if places is None else [(name, key) for name, key in places]

    async def _server_matches(
        self, namespaces: list[str], words: list[str], facets: list[str], limit: int
    ) -> list[Place]:
        names = [f"word{number}" for number in range(len(words))]
        statements = "\n".join(MATCH.replace("$word", f"${name}") for name in names)
        found = await self._database.run(
            statements,
            namespaces=namespaces,
            facets=facets,
            limit=max(limit, MATCHES_PER_WORD),
            **dict(zip(names, words, strict=True)),
        )
        return _ranked(found)[:limit]

    @override
    async def spaces(self, names: Sequence[str] | None = None) -> list[Space]:
        if names is None:
            [rows] = await self._database.run(ALL_SPACES)
        else:
            [rows] = await self._database.run(SPACES, spaces=[space_id(name) for name in names])
        return [Space(row["id"].id, row["revision"], row.get("embedder")) for row in rows]

    @override
    async def pending(self, namespace: str, limit: int) -> list[Record]:
        [rows] = await self._database.run(PENDING, namespace=namespace, limit=limit)
        return [record_from(row) for row in rows]

    @override
    async def settle(self, namespace: str, records: Sequence[Record]) -> None:
        ordered = sorted(records, key=_outcome)
        for (embedder, fault), group in groupby(ordered, key=_outcome):
            batch = list(group)
            await self._write(
                namespace,
                SETTLE,
                memories=[memory_id(record.namespace, record.id) for record in batch],
                digests=[record.digest for record in batch],
                embedder=embedder or None,
                fault=fault or None,
            )

    @override
    async def adopt(self, namespace: str, embedder: str) -> None:
        after = ""
        while records := await self.page(namespace, after, ADOPT_ROWS):
            places = [memory_id(namespace, record.id) for record in records]
            await self._write(namespace, ADOPT, memories=places, namespace=namespace, embedder=embedder)
            after = records[-1].id
        await self._write(namespace, ADOPTED, embedder=embedder)

    async def _changed(self, records: Sequence[Record]) -> list[Record]:
        """Returns the records that differ from the stored rows; of several with one id, the last."""
        latest = {record.id: record for record in records}
        places = [memory_id(record.namespace, record.id) for record in latest.values()]
        [rows] = await self._database.run(DIGESTS, memories=places)
        known = {row["id"].id[1]: row["digest"] for row in rows}
        return [record for record in latest.values() if known.get(record.id) != record.digest]

    async def _write(
        self, namespace: str, statement: str, /, *, removed: Sequence[str] = (), **values: Any
    ) -> list[Any]:
        """Runs a write that increments the revision of a namespace; retries conflicts between writers."""
        values["space"] = space_id(namespace)

        async def attempt() -> list[Any]:
            written = {"namespace": namespace, "statement": statement, "values": values, "removed": list(removed)}
            results: list[Any] | None = await call_index(self._database, "words", "write", **written)
            return await self._database.run(statement, **values) if results is None else results

        return await retry_conflicts(attempt, f"memory namespace {namespace!r}")


def _outcome(record: Record) -> tuple[str, str]:
    return record.embedded_by or "", record.fault or ""


def _ranked(found: Sequence[Sequence[dict[str, Any]]]) -> list[Place]:
    """Ranks places by the sum of their words' scores; a word in more than half of all texts scores zero or less."""
    scores: defaultdict[Place, float] = defaultdict(float)
    for rows in found:
        for row in rows:
            namespace, key = row["id"].id
            scores[namespace, key] += PRESENCE + max(row["score"], 0.0)
    return sorted(scores, key=lambda place: (-scores[place], place))
