"""Vectors in this process's memory."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence

from pydantic import JsonValue

from holdfast._util.blocking import run_blocking
from holdfast.ports.retrieval import StoredVector, VectorMatch
from holdfast.storage.vectors.checks import check_dimension, check_k, check_name, check_vector
from holdfast.storage.vectors.metadata import facets
from holdfast.storage.vectors.ranking import Ranking
from holdfast.storage.vectors.record import Record, record, records


class MemoryVectors:
    """All namespaces of one memory: gives the same store for the same namespace."""

    def __init__(self) -> None:
        self._stores: dict[str, MemoryVectorStore] = {}

    def __call__(self, namespace: str) -> MemoryVectorStore:
        """The store of a namespace."""
        return self._stores.setdefault(namespace, MemoryVectorStore(namespace))


class MemoryVectorStore:
    """A VectorStoreProtocol of dictionaries, which compares with every vector: exact, and linear in their number.

    Args:
        namespace: its name, for messages.
    """

    def __init__(self, namespace: str = "default") -> None:
        self._namespace = check_name("the namespace", namespace)
        self._dimension: int | None = None
        self._records: dict[str, Record] = {}

    async def upsert(
        self,
        id: str,  # noqa: A002 - the field's word
        vector: Sequence[float],
        metadata: Mapping[str, JsonValue] | None = None,
    ) -> None:
        """See `holdfast.ports.VectorStoreProtocol.upsert`."""
        self._keep([record(self._namespace, id, vector, metadata)])

    async def upsert_many(self, vectors: Iterable[StoredVector]) -> None:
        """See `holdfast.ports.VectorStoreProtocol.upsert_many`."""
        self._keep(await run_blocking(records, self._namespace, vectors))

    async def query(
        self,
        vector: Sequence[float],
        k: int = 5,
        *,
        filter: Mapping[str, JsonValue] | None = None,  # noqa: A002 - the field's word
    ) -> list[VectorMatch]:
        """See `holdfast.ports.VectorStoreProtocol.query`."""
        numbers = check_vector(vector)
        wanted = facets(self._namespace, {} if filter is None else filter)
        ranking = Ranking(numbers, check_k(k))
        self._check_dimension(numbers)
        found = [kept for kept in self._records.values() if wanted <= kept.facets]
        await run_blocking(ranking.add, found)
        return ranking.matches()

    async def get_vector(self, id: str) -> StoredVector | None:  # noqa: A002 - the field's word
        """See `holdfast.ports.VectorStoreProtocol.get_vector`."""
        kept = self._records.get(check_name("the id of a vector", id))
        return None if kept is None else kept.stored()

    async def delete(self, id: str) -> bool:  # noqa: A002 - the field's word
        """See `holdfast.ports.VectorStoreProtocol.delete`."""
        return self._records.pop(check_name("the id of a vector", id), None) is not None

    def _keep(self, made: list[Record]) -> None:
        if made:
            self._check_dimension(made[0].numbers)
            self._dimension = len(made[0].numbers)
            self._records.update((each.id, each) for each in made)

    def _check_dimension(self, numbers: array[float]) -> None:
        if self._dimension is not None:
            check_dimension(len(numbers), self._dimension, self._namespace)
