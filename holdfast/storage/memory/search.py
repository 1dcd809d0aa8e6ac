"""Answers searches: words and meaning side by side, fused by rank, and remembered until something changes."""

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
MAX_QUERY_CHARS = 8_000  # what embedding models take
CANDIDATES = 50  # that each ranking gives at least: fusing needs more than the first few

CACHED_SEARCHES = 256
CACHED_CHARS = 8_000_000  # of all texts in the cache together
CACHE_LIFETIME = 60.0  # seconds; writes are noticed at once, this only bounds what is kept

Answer = tuple[list[Space], list[MemoryMatch]]
"""What was found, with the namespaces as they were."""
Finders = dict[Place, list[Finder]]


class Question:
    """A search, checked.

    Raises:
        UsageError: it cannot be answered; the message says why.
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
        """The same for searches with the same answer."""
        return repr((self.query, self.top_k, self.namespaces, sorted(self.facets)))


class Search:
    """Searches a table and its vectors.

    What was found is remembered with the revisions of the namespaces, which every write changes, whoever makes it:
    a search that finds them as they were costs one small read.

    Args:
        table: has the texts.
        vectors: have what they mean; None: words alone decide.
    """

    def __init__(self, table: MemoryTable, vectors: TextVectors | None) -> None:
        self._table = table
        self._vectors = vectors
        self._cache: TTLCache[str, Answer] = TTLCache(CACHED_CHARS, CACHE_LIFETIME, getsizeof=_size)

    async def answer(self, question: Question) -> list[MemoryMatch]:
        """The memories that fit best, best first."""
        spaces = await self._table.spaces(question.namespaces)
        known = self._cache.get(question.key)
        if known and known[0] == spaces:
            return [match.model_copy(deep=True) for match in known[1]]
        found, whole = await self._search(question, [space.name for space in spaces])
        if whole:
            copies = [match.model_copy(deep=True) for match in found]
            self._cache[question.key] = spaces, copies
        return found

    async def _search(self, question: Question, namespaces: Sequence[str]) -> tuple[list[MemoryMatch], bool]:
        """The answer, and whether all that could contribute did."""
        limit = max(CANDIDATES, 4 * question.top_k)
        by_words, by_meaning = await asyncio.gather(
            self._table.matches(namespaces, query_words(question.query), sorted(question.facets), limit),
            self._nearest(question, namespaces, limit),
        )
        finders: Finders = {place: ["text"] for place in by_words}
        for place in by_meaning or ():
            finders.setdefault(place, []).append("vector")
        ranked = fuse([by_words, by_meaning or []])
        return await self._read(ranked, finders, question), by_meaning is not None

    async def _nearest(self, question: Question, namespaces: Sequence[str], limit: int) -> list[Place] | None:
        if self._vectors is None or not namespaces:
            return []
        return await self._vectors.matches(question.query, namespaces, question.wanted, limit)

    async def _read(
        self, ranked: Sequence[tuple[Place, float]], finders: Finders, question: Question
    ) -> list[MemoryMatch]:
        """The first of the ranking that are still there and fit: a vector may have outlived its text."""
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
    """Characters that an answer counts in the cache; at least its share of them, which bounds their number too."""
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
