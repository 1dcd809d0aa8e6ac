"""Vectors of memories: one vector namespace for each memory namespace and embedder."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from cachetools import TTLCache
from pydantic import JsonValue

from holdfast._util.logger import get_logger
from holdfast.errors import HoldfastError
from holdfast.ports.retrieval import Embedder, StoredVector, VectorStoreProtocol
from holdfast.storage.memory.record import Record
from holdfast.storage.memory.table import Place

log = get_logger(__name__)

MAX_EMBEDDED_CHARS = 8_000  # of a text: some 2,000 tokens, within the limit of common models; full text covers the rest
MIN_SIMILARITY = 0.1  # typical of unrelated texts; less similar ones are not matches
QUERY_TIMEOUT = 5.0  # seconds for the vector of a query; after that, full text answers alone
QUERY_ENTRIES = 1_000  # cached vectors of queries, some 12 KB each
QUERY_LIFETIME = 3600.0  # seconds; a model's vectors do not change, but its name may come to mean another model

OpenVectors = Callable[[str], VectorStoreProtocol]
"""Returns the vector store of a namespace."""


class TextVectors:
    """Embeds texts and queries; stores the vectors of texts and searches them.

    Args:
        embedder: computes the vectors; closed with this object.
        open_vectors: returns the vector store of a namespace.

    Attributes:
        adopted: namespaces that belong to this embedder, as far as this process knows.
    """

    def __init__(self, embedder: Embedder, open_vectors: OpenVectors) -> None:
        self._embedder = embedder
        self._open_vectors = open_vectors
        self.adopted: set[str] = set()
        self._queries: TTLCache[str, list[float]] = TTLCache(QUERY_ENTRIES, QUERY_LIFETIME)

    @property
    def name(self) -> str:
        """Name of the embedder."""
        return self._embedder.name

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Returns the vectors of texts; raises what `Embedder.embed` raises."""
        return await self._embedder.embed([text[:MAX_EMBEDDED_CHARS] for text in texts])

    async def store(self, namespace: str, vectors: Sequence[tuple[Record, list[float]]]) -> None:
        """Stores the vectors of records."""
        await self._of(namespace).upsert_many(
            StoredVector(id=record.id, vector=vector, metadata=record.metadata) for record, vector in vectors
        )

    async def drop(self, namespace: str, id: str) -> None:  # noqa: A002 - the field's word
        """Removes a record's vector, if it has one."""
        await self._of(namespace).delete(id)

    async def matches(
        self, query: str, namespaces: Sequence[str], wanted: Mapping[str, JsonValue], limit: int
    ) -> list[Place] | None:
        """Returns the places nearest to a query, best first; `None` if the query could not be embedded."""
        vector = await self._query_vector(query)
        if vector is None:
            return None
        found = await asyncio.gather(*(self._nearest(name, vector, wanted, limit) for name in namespaces))
        ranked = sorted((-score, place) for matches in found for place, score in matches)
        return [place for _, place in ranked[:limit]]

    async def close(self) -> None:
        """Closes the embedder."""
        await self._embedder.close()

    async def _nearest(
        self, namespace: str, vector: Sequence[float], wanted: Mapping[str, JsonValue], limit: int
    ) -> list[tuple[Place, float]]:
        matches = await self._of(namespace).query(vector, limit, filter=wanted or None)
        return [((namespace, match.id), match.score) for match in matches if match.score >= MIN_SIMILARITY]

    async def _query_vector(self, query: str) -> list[float] | None:
        if known := self._queries.get(query):
            return known
        try:
            async with asyncio.timeout(QUERY_TIMEOUT):
                [vector] = await self.embed([query])
        except (HoldfastError, TimeoutError) as error:
            log.warning("the query could not be embedded, searching full text only", reason=str(error) or "timed out")
            return None
        if not any(vector):
            return None
        self._queries[query] = vector
        return vector

    def _of(self, namespace: str) -> VectorStoreProtocol:
        return self._open_vectors(vectors_namespace(self.name, namespace))


def vectors_namespace(embedder: str, namespace: str) -> str:
    """Returns the vector namespace of a memory namespace."""
    return f"memory/{embedder}/{namespace}"
