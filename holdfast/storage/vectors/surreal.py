"""Vectors in SurrealDB, embedded or on a server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TypeVar

from pydantic import JsonValue

from holdfast._util.blocking import run_blocking
from holdfast.errors import StoreUnavailable
from holdfast.ports.retrieval import StoredVector, VectorMatch
from holdfast.storage.database import Database, WriteConflict, retry_conflicts
from holdfast.storage.database.surql import statement
from holdfast.storage.vectors.checks import check_dimension, check_k, check_name, check_vector
from holdfast.storage.vectors.index import Index, note
from holdfast.storage.vectors.metadata import facets
from holdfast.storage.vectors.record import Record, record, records
from holdfast.storage.vectors.rows import record_from, row, row_id
from holdfast.storage.vectors.search import Search
from holdfast.storage.vectors.space import Spaces

T = TypeVar("T")

UPSERT = statement("holdfast.storage.vectors", "upsert")
DELETE = statement("holdfast.storage.vectors", "delete")
GET = "SELECT id, exact, norm, metadata, facets FROM ONLY $row"

BATCH = 32_768  # numbers a transaction writes: 85 vectors of 384, 0.26 MB; encoding them holds the loop up for 5 ms


class SurrealVectors:
    """All namespaces of one database: gives the same store for the same namespace.

    Args:
        database: where they are kept; it is shared, and not closed.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._stores: dict[str, SurrealVectorStore] = {}

    def __call__(self, namespace: str) -> SurrealVectorStore:
        """The store of a namespace."""
        if namespace not in self._stores:
            self._stores[namespace] = SurrealVectorStore(self._database, namespace)
        return self._stores[namespace]


class SurrealVectorStore:
    """A VectorStoreProtocol on SurrealDB: exact where there are few vectors, by an HNSW index where there are many.

    The index only finds candidates: scores are reckoned with the vectors as they were given.

    Args:
        database: where it is kept; it is shared, and not closed.
        namespace: whose vectors these are; the first fixes the dimension, for good.
    """

    def __init__(self, database: Database, namespace: str = "default") -> None:
        self._database = database
        self._namespace = check_name("the namespace", namespace)
        self._spaces = Spaces(database, namespace)
        self._index = Index(database, namespace, self._spaces)

    async def upsert(
        self,
        id: str,  # noqa: A002 - the field's word
        vector: Sequence[float],
        metadata: Mapping[str, JsonValue] | None = None,
    ) -> None:
        """See `holdfast.ports.VectorStoreProtocol.upsert`."""
        await self._keep([record(self._namespace, id, vector, metadata)])

    async def upsert_many(self, vectors: Iterable[StoredVector]) -> None:
        """See `holdfast.ports.VectorStoreProtocol.upsert_many`."""
        await self._keep(await run_blocking(records, self._namespace, vectors))

    async def query(
        self,
        vector: Sequence[float],
        k: int = 5,
        *,
        filter: Mapping[str, JsonValue] | None = None,  # noqa: A002 - the field's word
    ) -> list[VectorMatch]:
        """See `holdfast.ports.VectorStoreProtocol.query`."""
        numbers, k = check_vector(vector), check_k(k)
        wanted = facets(self._namespace, {} if filter is None else filter)
        search = Search(self._database, self._namespace, self._spaces, numbers, k=k, facets=wanted)
        return await self._until_in_time(search.matches)

    async def get_vector(self, id: str) -> StoredVector | None:  # noqa: A002 - the field's word
        """See `holdfast.ports.VectorStoreProtocol.get_vector`."""
        identity = row_id(self._namespace, check_name("the id of a vector", id))
        [found] = await self._database.run(GET, row=identity)
        return found and record_from(found).stored()

    async def delete(self, id: str) -> bool:  # noqa: A002 - the field's word
        """See `holdfast.ports.VectorStoreProtocol.delete`."""
        identity = row_id(self._namespace, check_name("the id of a vector", id))
        results = await self._until_in_time(lambda: self._database.run(DELETE, row=identity, note=note(identity)))
        there = True in results
        await self._index.noted(int(there))
        return there

    async def _keep(self, made: list[Record]) -> None:
        for batch in _batches(made):
            await self._until_in_time(partial(self._write, batch))
        await self._index.noted(len(made))

    async def _write(self, batch: list[Record]) -> None:
        dimension = await self._spaces.claim(len(batch[0].numbers))
        check_dimension(len(batch[0].numbers), dimension, self._namespace)
        rows = [row(self._namespace, each) for each in batch]
        results = await self._database.run(
            UPSERT,
            space=self._spaces.row,
            dimension=dimension,
            notes=[note(each["id"]) for each in rows],
            rows=rows,
        )
        if [each.norm for each in batch] not in results:  # a write that permissions forbid is no error to the database
            raise StoreUnavailable(
                f"the database did not take vectors of namespace {self._namespace!r}: may its user write?"
            )

    async def _until_in_time(self, work: Callable[[], Awaitable[T]]) -> T:
        async def attempt() -> T:
            try:
                return await work()
            except WriteConflict:
                self._spaces.forget()
                raise

        return await retry_conflicts(attempt, f"vector namespace {self._namespace!r}")


def _batches(made: list[Record]) -> Iterator[list[Record]]:
    size = max(BATCH // len(made[0].numbers), 1) if made else 1
    for first in range(0, len(made), size):
        yield made[first : first + size]
