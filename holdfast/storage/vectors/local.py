"""In-memory index of the vectors of an embedded database, in the process that owns its files."""

from __future__ import annotations

from functools import partial
from typing import Any

from surrealdb import RecordID
from typing_extensions import override

from holdfast._util.blocking import run_blocking
from holdfast.errors import UsageError
from holdfast.storage.database.connection import Connection
from holdfast.storage.database.local_index import LocalIndex
from holdfast.storage.database.pool import Pool
from holdfast.storage.database.surql import statement
from holdfast.storage.row_cache import RowCache
from holdfast.storage.vectors.checks import check_dimension
from holdfast.storage.vectors.matrix import Item, Matrix
from holdfast.storage.vectors.metadata import facets_of_text
from holdfast.storage.vectors.rows import Row, floats_from, key, numbers_from, record_from, text_of

UPSERT = statement("holdfast.storage.vectors", "upsert_local")
DELETE = "DELETE $row RETURN BEFORE"
DIMENSION = "SELECT VALUE dimension FROM $space"
LOAD = "SELECT VALUE [id[1], exact, norm, metadata] FROM vector:[$namespace, $after]>..=[$namespace, ..] LIMIT $limit"

LOAD_ROWS = 500  # in one statement: at most 1.5 MB of 384 numbers each, and others get their turn in between
MAX_BYTES = 2**30  # of all matrices: 230,000 vectors of 384 numbers; beyond it, the least recently used are dropped

Match = tuple[str, float, str]
"""The key of an id, a score, exact metadata."""


class LocalVectors(LocalIndex):
    """A `LocalIndex` with a matrix for each namespace.

    Namespaces and ids travel as keys, see `holdfast.storage.vectors.rows.key`.

    Args:
        pool: the database.
    """

    def __init__(self, pool: Pool[Any]) -> None:
        self._pool = pool
        self._caches: dict[str, RowCache[Matrix | None]] = {}
        """By namespace, least recently used first; the index of a namespace that never had a vector is `None`."""

    async def call(self, operation: str, values: dict[str, Any]) -> Any:
        """Runs one operation.

        - `query` (`namespace`, `vector`, `k`, `facets`) returns the nearest as `Match`.
        - `upsert` (`namespace`, `dimension`, `rows`) writes rows and returns true.
        - `delete` (`namespace`, `id`) removes a row and returns whether there was one.

        Raises:
            UsageError: the operation is none of these, or the vector does not have the namespace's dimension.
            WriteConflict: the namespace has another dimension now.
        """
        match operation:
            case "query":
                return await self._query(**values)
            case "upsert":
                return await self._pool.lend(lambda connection: self._upsert(connection, **values))
            case "delete":
                return await self._pool.lend(lambda connection: self._delete(connection, **values))
        raise UsageError(f"vectors have no operation {operation!r}: restart the process that owns the database")

    @override
    async def close(self) -> None:
        caches, self._caches = self._caches, {}
        for cache in caches.values():
            await cache.close()

    async def _query(self, namespace: str, vector: bytes, k: int, facets: list[str]) -> list[Match]:
        matrix = await self._cache(namespace).get()
        if matrix is None:
            return []
        self._drop_others(namespace)
        numbers = numbers_from(vector)
        check_dimension(len(numbers), matrix.dimension, text_of(namespace))
        found = await run_blocking(matrix.nearest, numbers, k, facets)
        return [(key(match.id), match.score, match.metadata) for match in found]

    async def _upsert(self, connection: Connection[Any], namespace: str, dimension: int, rows: list[Row]) -> bool:
        cache = self._cache(namespace)
        try:
            space = RecordID("vector_namespace", [namespace])
            await connection.run(UPSERT, {"space": space, "dimension": dimension, "rows": rows})
        except BaseException:
            cache.drop()  # the rows may be written or not
            raise
        if cache.index is not None and cache.index.dimension != dimension:
            cache.drop()  # another process has emptied the namespace, and this dimension is a new one
        items = await run_blocking(_items, rows)
        await cache.apply(partial(_put, items=items))
        return True

    async def _delete(self, connection: Connection[Any], namespace: str, id: str) -> bool:  # noqa: A002 - the field's word
        cache = self._cache(namespace)
        try:
            [gone] = await connection.run(DELETE, {"row": RecordID("vector", [namespace, id])})
        except BaseException:
            cache.drop()
            raise
        await cache.apply(partial(_remove, id=text_of(id)))
        return bool(gone)

    def _cache(self, namespace: str) -> RowCache[Matrix | None]:
        cache = self._caches.pop(namespace, None) or RowCache(partial(self._load, namespace))
        self._caches[namespace] = cache
        return cache

    async def _load(self, namespace: str) -> Matrix | None:
        space = RecordID("vector_namespace", [namespace])
        [found] = await self._pool.run(DIMENSION, space=space)
        if not found:
            return None
        matrix = Matrix(found[0], partial(facets_of_text, text_of(namespace)))
        after = ""
        while True:
            [rows] = await self._pool.run(LOAD, namespace=namespace, after=after, limit=LOAD_ROWS)
            await run_blocking(_fill, matrix, rows)
            if len(rows) < LOAD_ROWS:
                return matrix
            after = rows[-1][0]

    def _drop_others(self, namespace: str) -> None:
        """Drops matrices beyond the limit of memory; that of the given namespace is kept, whatever its size."""
        loaded = {name: cache.index for name, cache in self._caches.items() if cache.index is not None}
        size = sum(matrix.size for matrix in loaded.values() if matrix)
        for name, matrix in loaded.items():
            if size <= MAX_BYTES:
                return
            if name != namespace and matrix:
                self._caches.pop(name)
                size -= matrix.size


def _items(rows: list[Row]) -> list[Item]:
    records = [record_from(row) for row in rows]
    return [Item(each.id, each.numbers, each.norm, each.metadata, each.facets) for each in records]


def _fill(matrix: Matrix, rows: list[tuple[str, bytes, float, str]]) -> None:
    matrix.put([Item(text_of(name), floats_from(exact), norm, metadata) for name, exact, norm, metadata in rows])


def _put(matrix: Matrix | None, items: list[Item]) -> None:
    if matrix is not None:
        matrix.put(items)


def _remove(matrix: Matrix | None, id: str) -> None:  # noqa: A002 - the field's word
    if matrix is not None:
        matrix.remove(id)
