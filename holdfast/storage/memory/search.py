"""Hybrid search: full text and vectors in parallel, fused by rank, cached until a namespace changes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from cachetools import TTLCache
from pydantic import JsonValue

from holdfast.errors import UsageError
from holdfast.ports.retrieval import Finder, MemoryMatch
from holdfast.storage.memory.fusion import fuse
from holdfast.storage.memory.record import Record, checked_filter, checked_namespace, wanted_facets
from holdfast.storage.memory.table import MemoryTable, Place, Space
from holdfast.storage.memory.vectors import TextVectors
from holdfast.storage.memory.words import query_words
from holdfast.types import clean_text

MAX_TOP_K = 100
MAX_QUERY_CHARS = 8_000  # the input limit of common embedding models
CANDIDATES = 50  # minimum per ranking: fusion needs more than the first few

CACHED_SEARCHES = 256
CACHED_CHARS = 8_000_000  # total length of all cached texts
CACHE_LIFETIME = 60.0  # seconds; bounds memory only, as writes invalidate entries immediately

Answer = tuple[list[Space], list[MemoryMatch]]
"""The namespaces at the time of a search, and its matches."""
Finders = dict[Place, list[Finder]]


class Question:
    """A validated search.

    Raises:
        UsageError: an argument is not valid; the message names it.
    """

    def __init__(
        self, query: str, top_k: int, namespaces: Sequence[str], wanted: Mapping[str, JsonValue] | None
    ) -> None:
        if not isinstance(query, str) or not query.strip():
            raise UsageError("a search needs words: the query is blank")
        if isinstance(top_k, bool) or not isinstance(top_k, int) or not 1 <= top_k <= MAX_TOP_K:
            raise UsageError(f"top_k={top_k!r} is not accepted: a whole number from 1 to {MAX_TOP_K}")
        if isinstance(namespaces, str) or not namespaces:
            raise UsageError(f"namespaces={namespaces!r} is not accepted: a list with at least one name")
        self.query: str = clean_text(query).strip()[:MAX_QUERY_CHARS]
        self.top_k = top_k
        self.namespaces = sorted({checked_namespace(name) for name in namespaces})
        self.wanted = checked_filter(wanted)
        self.facets = wanted_facets(self.wanted)

    @property
    def key(self) -> str:
        """Cache key: searches with the same key have the same answer."""
        return repr((self.query, self.top_k, self.namespaces, sorted(self.facets)))


class Search:
    """Searches a table and its vectors.

    Answers are cached with the revisions of the namespaces, which every write by any process increments. While the
    revisions stay the same, a repeated search costs one small read.

    Args:
        table: stores the texts.
        vectors: stores the vectors; `None` searches full text only.
    """

    def __init__(self, table: MemoryTable, vectors: TextVectors | None) -> None:
        self._table = table
        self._vectors = vectors
        self._cache: TTLCache[str, Answer] = TTLCache(CACHED_CHARS, CACHE_LIFETIME, getsizeof=_size)

    async def answer(self, question: Question) -> list[MemoryMatch]:
        """Returns the best matches, best first."""
        spaces = await self._table.spaces(question.namespaces)
        known = self._cache.get(question.key)
        if known and known[0] == spaces:
            return [match.model_copy(deep=True) for match in known[1]]
        found, is_complete = await self._search(question, [space.name for space in spaces])
        if is_complete:
            copies = [match.model_copy(deep=True) for match in found]
            self._cache[question.key] = spaces, copies
        return found

    async def _search(self, question: Question, namespaces: Sequence[str]) -> tuple[list[MemoryMatch], bool]:
        """Returns the answer, and whether it is complete: full text only is not, if there are vectors."""
        limit = max(CANDIDATES, 4 * question.top_k)
        by_words, by_meaning = await asyncio.gather(
            self._table.matches(namespaces, query_words(question.query), sorted(question.facets), limit),
            self._nearest(question, namespaces, limit),
        )
        finders: Finders = {place: ["text"] for place in by_words}
        for place in by_meaning or ():
            finders.setdefault(place, []).append("vector")
        ranked = fuse([by_words, by_meaning or []], unrankable=await self._without_vector(by_words, by_meaning))
        return await self._read(ranked, finders, question), by_meaning is not None

    async def _without_vector(self, by_words: Sequence[Place], by_meaning: Sequence[Place] | None) -> set[Place]:
        """Returns the memories that have no vector, among those that only their words found.

        A memory that was just added, and matches best, must not be outranked by those that merely have a vector.
        """
        if not by_meaning or self._vectors is None:
            return set()
        nearest, name = set(by_meaning), self._vectors.name
        records = await self._table.read([place for place in by_words if place not in nearest])
        return {place for place, record in records.items() if record.embedded_by != name}

    async def _nearest(self, question: Question, namespaces: Sequence[str], limit: int) -> list[Place] | None:
        if self._vectors is None or not namespaces:
            return []
        return await self._vectors.matches(question.query, namespaces, question.wanted, limit)

    async def _read(
        self, ranked: Sequence[tuple[Place, float]], finders: Finders, question: Question
    ) -> list[MemoryMatch]:
        """Reads the best of the ranking; skips records that were deleted or no longer match the filter."""
        found: list[MemoryMatch] = []
        while ranked and len(found) < question.top_k:
            page, ranked = ranked[: question.top_k], ranked[question.top_k :]
            records = await self._table.read([place for place, _ in page])
            for place, score in page:
                record = records.get(place)
                if record and question.facets <= record.facets:
                    found.append(_match(record, score, finders[place]))
        return found[: question.top_k]


def _size(answer: Answer) -> int:
    """Returns the characters that an answer occupies; a minimum bounds the number of cached answers too."""
    return max(sum(len(match.text) for match in answer[1]), CACHED_CHARS // CACHED_SEARCHES)


def _match(record: Record, score: float, found_by: list[Finder]) -> MemoryMatch:
    return MemoryMatch(
        id=record.id,
        namespace=record.namespace,
        text=record.text,
        metadata=record.metadata,
        score=score,
        found_by=found_by,
    )
