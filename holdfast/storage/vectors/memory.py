"""Vectors in this process's memory."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from pydantic import JsonValue
from typing_extensions import override

from holdfast._util.blocking import run_blocking
from holdfast.ports.retrieval import StoredVector, VectorMatch, VectorStoreProtocol
from holdfast.storage.vectors.checks import check_dimension, check_k, check_name, check_vector
from holdfast.storage.vectors.matrix import Item, Matrix
from holdfast.storage.vectors.metadata import facets, facets_of_text
from holdfast.storage.vectors.record import Record, record, records


class MemoryVectors:
    """All namespaces in this process; calls with the same namespace return the same store."""

    def __init__(self) -> None:
        self._stores: dict[str, MemoryVectorStore] = {}

    def __call__(self, namespace: str) -> MemoryVectorStore:
        """Returns the store of a namespace."""
        return self._stores.setdefault(namespace, MemoryVectorStore(namespace))


class MemoryVectorStore(VectorStoreProtocol):
    """A VectorStoreProtocol that compares every vector in one matrix product; its results are exact.

    Args:
        namespace: its name, for messages.
    """

    def __init__(self, namespace: str = "default") -> None:
        self._namespace = check_name("the namespace", namespace)
        self._matrix: Matrix | None = None
        """`None` means that no vector has fixed the dimension yet."""
        self._first = threading.Lock()

    @override
    async def upsert(
        self,
        id: str,
        vector: Sequence[float],
        metadata: Mapping[str, JsonValue] | None = None,
    ) -> str:
        self._keep([record(self._namespace, id, vector, metadata)])
        return id

    @override
    async def upsert_many(self, vectors: Iterable[StoredVector]) -> None:
        await run_blocking(lambda: self._keep(records(self._namespace, vectors)))

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
        matrix = self._matrix
        if matrix is None:
            return []
        check_dimension(len(numbers), matrix.dimension, self._namespace)
        found = await run_blocking(matrix.nearest, numbers, k, wanted)
        return [VectorMatch(id=each.id, score=each.score, metadata=json.loads(each.metadata)) for each in found]

    @override
    async def get_vector(self, id: str) -> StoredVector | None:
        key = check_name("the id of a vector", id)
        found = self._matrix.get(key) if self._matrix else None
        if found is None:
            return None
        numbers, metadata = found
        return StoredVector(id=key, vector=numbers.tolist(), metadata=json.loads(metadata))

    @override
    async def delete(self, id: str) -> bool:
        key = check_name("the id of a vector", id)
        return self._matrix is not None and self._matrix.remove(key)

    def _keep(self, made: list[Record]) -> None:
        if not made:
            return
        with self._first:
            if self._matrix is None:
                self._matrix = Matrix(len(made[0].numbers), partial(facets_of_text, self._namespace))
        check_dimension(len(made[0].numbers), self._matrix.dimension, self._namespace)
        self._matrix.put([Item(each.id, each.numbers, each.norm, each.metadata, each.facets) for each in made])
