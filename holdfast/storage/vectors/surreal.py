"""Vectors in SurrealDB, embedded or on a server."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from pydantic import JsonValue
from typing_extensions import override

from holdfast._util.batches import batches
from holdfast._util.blocking import run_blocking
from holdfast.errors import StoreUnavailable
from holdfast.ports.retrieval import StoredVector, VectorMatch, VectorStoreProtocol
from holdfast.storage.database import Database, WriteConflict, retry_conflicts
from holdfast.storage.database.local_index import call_index
from holdfast.storage.database.surql import statement
from holdfast.storage.vectors.checks import check_dimension, check_k, check_name, check_vector
from holdfast.storage.vectors.index import Index, backlog_row
from holdfast.storage.vectors.metadata import facets
from holdfast.storage.vectors.record import Record, record, records
from holdfast.storage.vectors.rows import Row, exact_bytes, key, record_from, row, row_id, text_of
from holdfast.storage.vectors.search import Search
from holdfast.storage.vectors.space import Spaces

T = TypeVar("T")

UPSERT = statement("holdfast.storage.vectors", "upsert")
DELETE = statement("holdfast.storage.vectors", "delete")
GET = "SELECT id, exact, norm, metadata, facets FROM ONLY $row"

MAX_K = 2**31  # more than there are, and what travels as a number
BATCH = 32_768  # numbers a transaction writes: 85 vectors of 384, 0.26 MB; encoding them holds the loop up for 5 ms


class SurrealVectors:
    """All namespaces of one database; calls with the same namespace return the same store.

    Args:
        database: stores the vectors; it is shared, and not closed.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._stores: dict[str, SurrealVectorStore] = {}

    def __call__(self, namespace: str) -> SurrealVectorStore:
        """Returns the store of a namespace."""
        if namespace not in self._stores:
            self._stores[namespace] = SurrealVectorStore(self._database, namespace)
        return self._stores[namespace]


class SurrealVectorStore(VectorStoreProtocol):
    """A VectorStoreProtocol on SurrealDB: exact where there are few vectors, by an HNSW index where there are many.

    The index only finds candidates: scores are computed from the exact vectors.

    Args:
        database: stores the vectors; it is shared, and not closed.
        namespace: its namespace; the first vector fixes the dimension permanently.
    """

    def __init__(self, database: Database, namespace: str = "default") -> None:
        self._database = database
        self._namespace = check_name("the namespace", namespace)
        self._spaces = Spaces(database, namespace)
        self._index = Index(database, namespace, self._spaces)

    @override
    async def upsert(
        self,
        id: str,
        vector: Sequence[float],
        metadata: Mapping[str, JsonValue] | None = None,
    ) -> str:
        await self._keep([record(self._namespace, id, vector, metadata)])
        return id

    @override
    async def upsert_many(self, vectors: Iterable[StoredVector]) -> None:
        await self._keep(await run_blocking(records, self._namespace, vectors))

    @override
    async def query(
        self,
        vector: Sequence[float],
        k: int = 5,
        *,
        filter: Mapping[str, JsonValue] | None = None,
    ) -> list[VectorMatch]:
        numbers, k = check_vector(vector), check_k(k)
        wanted = facets(self._namespace, {} if filter is None else filter)
        found = await self._call_local("query", vector=exact_bytes(numbers), k=min(k, MAX_K), facets=sorted(wanted))
        if found is not None:
            return [
                VectorMatch(id=text_of(name), score=score, metadata=json.loads(text)) for name, score, text in found
            ]
        search = Search(self._database, self._namespace, self._spaces, numbers, k=k, facets=wanted)
        return await self._retry_conflicts(search.matches)

    @override
    async def get_vector(self, id: str) -> StoredVector | None:
        identity = row_id(self._namespace, check_name("the id of a vector", id))
        [found] = await self._database.run(GET, row=identity)
        return found and record_from(found).stored()

    @override
    async def delete(self, id: str) -> bool:
        identity = row_id(self._namespace, check_name("the id of a vector", id))
        gone: bool | None = await self._call_local("delete", id=key(id))
        if gone is not None:
            return gone
        results = await self._retry_conflicts(
            lambda: self._database.run(DELETE, row=identity, pending=backlog_row(identity))
        )
        there = True in results
        await self._index.written(int(there))
        return there

    async def _keep(self, made: list[Record]) -> None:
        written = 0
        for batch in batches(made, most=max(BATCH // len(made[0].numbers), 1) if made else 1):
            written += await self._retry_conflicts(partial(self._write, batch))
        await self._index.written(written)

    async def _write(self, batch: list[Record]) -> int:
        """Writes vectors and returns how many the index on the server has yet to learn."""
        dimension = await self._spaces.claim(len(batch[0].numbers))
        check_dimension(len(batch[0].numbers), dimension, self._namespace)
        rows = await run_blocking(self._rows, batch)
        if await self._call_local("upsert", dimension=dimension, rows=rows):
            return 0
        await self._write_to_server(dimension, rows, [each.norm for each in batch])
        return len(batch)

    async def _write_to_server(self, dimension: int, rows: list[Row], norms: list[float]) -> None:
        results = await self._database.run(
            UPSERT,
            space=self._spaces.row,
            dimension=dimension,
            backlog=[backlog_row(each["id"]) for each in rows],
            rows=rows,
        )
        if norms not in results:  # the database reports no error for a denied write
            raise StoreUnavailable(
                f"the database did not store vectors of namespace {self._namespace!r}: check that its user may write"
            )

    def _rows(self, batch: list[Record]) -> list[Row]:
        return [row(self._namespace, each) for each in batch]

    async def _call_local(self, operation: str, **values: Any) -> Any:
        """Calls `LocalVectors`; returns `None` if the database is on a server."""
        return await call_index(self._database, "vectors", operation, namespace=key(self._namespace), **values)

    async def _retry_conflicts(self, work: Callable[[], Awaitable[T]]) -> T:
        async def attempt() -> T:
            try:
                return await work()
            except WriteConflict:
                self._spaces.forget()
                raise

        return await retry_conflicts(attempt, f"vector namespace {self._namespace!r}")
