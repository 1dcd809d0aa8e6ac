"""The vectors of memories: one namespace of the vector layer for each of theirs and each embedder."""

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

MAX_EMBEDDED_CHARS = 8_000  # of a text: some 2,000 tokens, which embedding models take; full text covers the rest
MIN_SIMILARITY = 0.1  # below it, any two texts are as near: no match, however few others there are
QUERY_PATIENCE = 5.0  # seconds for the vector of a query; then its words must do
QUERY_ENTRIES = 1_000  # vectors of queries that are remembered, some 12 KB each
QUERY_LIFETIME = 3600.0  # seconds; a model's vectors do not change, but it may be replaced under its name

OpenVectors = Callable[[str], VectorStoreProtocol]
"""Gives the vectors of a namespace."""


class TextVectors:
    """Embeds texts and queries, keeps the vectors of the former, and finds them by the latter.

    Args:
        embedder: makes the vectors; closed with this.
        open_vectors: gives the vectors of a namespace.

    Attributes:
        adopted: namespaces that this process has found, or made, to be this embedder's.
    """

    def __init__(self, embedder: Embedder, open_vectors: OpenVectors) -> None:
        self._embedder = embedder
        self._open_vectors = open_vectors
        self.adopted: set[str] = set()
        self._queries: TTLCache[str, list[float]] = TTLCache(QUERY_ENTRIES, QUERY_LIFETIME)

    @property
    def name(self) -> str:
        """The embedder's."""
        return self._embedder.name

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Vectors of texts; raises what `Embedder.embed` raises."""
        return await self._embedder.embed([text[:MAX_EMBEDDED_CHARS] for text in texts])

    async def keep(self, namespace: str, vectors: Sequence[tuple[Record, list[float]]]) -> None:
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
        """The records nearest to a query, best first; None: the query has no vector now."""
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
            async with asyncio.timeout(QUERY_PATIENCE):
                [vector] = await self.embed([query])
        except (HoldfastError, TimeoutError) as error:
            log.warning("the query has no vector, searching by its words alone", reason=str(error) or "no answer")
            return None
        if not any(vector):
            return None
        self._queries[query] = vector
        return vector

    def _of(self, namespace: str) -> VectorStoreProtocol:
        return self._open_vectors(vectors_namespace(self.name, namespace))


def vectors_namespace(embedder: str, namespace: str) -> str:
    """Where the vectors of a namespace of memories are."""
    return f"memory/{embedder}/{namespace}"
