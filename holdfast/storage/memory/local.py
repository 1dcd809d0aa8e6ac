"""The full-text index of an embedded database, in the memory of the process that owns its files."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from typing_extensions import override

from holdfast._util.blocking import run_blocking
from holdfast.errors import UsageError
from holdfast.storage.database.connection import Connection
from holdfast.storage.database.local_index import LocalIndex
from holdfast.storage.database.pool import Pool
from holdfast.storage.memory.rows import space_id
from holdfast.storage.memory.table import Place
from holdfast.storage.memory.word_index import Entry, WordIndex
from holdfast.storage.row_cache import RowCache

REVISIONS = "SELECT id, revision FROM memory_space"
REVISIONS_OF = "SELECT id, revision FROM $spaces"
LOAD = "SELECT VALUE [id[1], text, facets] FROM memory:[$namespace, $after]>..=[$namespace, ..] LIMIT $limit"

LOAD_ROWS = 500  # in one statement: 0.5 MB at 300 characters each; other calls run between the statements
UNKNOWN = -1  # differs from every revision in the database
ATTEMPTS = 3  # to load an index that is current


@dataclass
class _Words:
    """An index, and the revisions of the namespaces that it covers."""

    index: WordIndex
    revisions: dict[str, int]


class LocalWords(LocalIndex):
    """A `LocalIndex` of the words of all memories.

    It tracks the revision of each namespace. If the revision in the database differs, the rows were changed by other
    means, and the index is loaded again.

    Args:
        pool: the database.
    """

    def __init__(self, pool: Pool[Any]) -> None:
        self._pool = pool
        self._cache = RowCache(self._load)

    async def call(self, operation: str, values: dict[str, Any]) -> Any:
        """Runs one operation.

        - `write` (`namespace`, `statement`, `values`, `removed`) runs a statement whose first result is the
          namespace's new revision, and returns its results. Its value `rows` lists the rows that it writes; `removed`
          lists the ids that it deletes.
        - `matches` (`namespaces`, `words`, `facets`, `limit`) returns what `MemoryTable.matches` returns.

        Raises:
            UsageError: the operation is unknown.
        """
        match operation:
            case "write":
                return await self._pool.lend(lambda connection: self._write(connection, **values))
            case "matches":
                return await self._matches(**values)
        raise UsageError(f"words have no operation {operation!r}: restart the process that owns the database")

    @override
    async def close(self) -> None:
        await self._cache.close()

    async def _write(
        self, connection: Connection[Any], namespace: str, statement: str, values: dict[str, Any], removed: list[str]
    ) -> list[Any]:
        try:
            results = await connection.run(statement, values)
        except BaseException:
            self._cache.drop()  # it is unknown whether the write was committed
            raise
        entries = [_entry(namespace, row["id"].id[1], row["text"], row["facets"]) for row in values.get("rows", ())]
        change = partial(_apply, namespace=namespace, revision=results[0][0], entries=entries, removed=removed)
        await self._cache.apply(change)
        return results

    async def _matches(self, namespaces: list[str], words: list[str], facets: list[str], limit: int) -> list[Place]:
        for _ in range(ATTEMPTS):
            known = await self._cache.get()
            if await self._pool.lend(partial(self._is_current, known=known, namespaces=namespaces)):
                break
            self._cache.drop()
        return await run_blocking(known.index.matches, namespaces, words, facets, limit)

    async def _is_current(self, connection: Connection[Any], known: _Words, namespaces: list[str]) -> bool:
        """Compares revisions while no write is in progress."""
        [found] = await connection.run(REVISIONS_OF, {"spaces": [space_id(name) for name in namespaces]})
        return all(known.revisions.get(row["id"].id) == row["revision"] for row in found)

    async def _load(self) -> _Words:
        [spaces] = await self._pool.run(REVISIONS)
        known = _Words(WordIndex(), {row["id"].id: row["revision"] for row in spaces})
        for namespace in known.revisions:
            await self._load_namespace(known.index, namespace)
        return known

    async def _load_namespace(self, index: WordIndex, namespace: str) -> None:
        after = ""
        while True:
            [rows] = await self._pool.run(LOAD, namespace=namespace, after=after, limit=LOAD_ROWS)
            await run_blocking(index.put, [_entry(namespace, *row) for row in rows])
            if len(rows) < LOAD_ROWS:
                return
            after = rows[-1][0]


def _entry(namespace: str, key: str, text: str, facets: list[str]) -> Entry:
    return Entry((namespace, key), text, facets)


def _apply(known: _Words, namespace: str, revision: int, entries: list[Entry], removed: list[str]) -> None:
    """Applies a write to the index, unless the loaded rows already include it."""
    before = known.revisions.get(namespace, 0)
    if revision <= before:
        return
    known.index.put(entries)
    for key in removed:
        known.index.remove((namespace, key))
    known.revisions[namespace] = revision if revision == before + 1 else UNKNOWN
