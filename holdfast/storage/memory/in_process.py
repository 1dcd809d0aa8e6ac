"""Memories in this process: dictionaries, and BM25 in plain Python."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

from holdfast.storage.memory.record import Record
from holdfast.storage.memory.table import Place, Space
from holdfast.storage.memory.words import stems

SATURATION = 1.2  # BM25's k1: how soon further occurrences of a word stop to count
LENGTH_SHARE = 0.75  # BM25's b: how much a long text is held against it


class InProcessTable:
    """A MemoryTable that goes with its process."""

    def __init__(self) -> None:
        self._records: defaultdict[str, dict[str, Record]] = defaultdict(dict)
        self._pending: defaultdict[str, dict[str, None]] = defaultdict(dict)
        self._spaces: dict[str, Space] = {}
        self._index = _Index()

    async def write(self, namespace: str, records: Sequence[Record]) -> None:
        """See `MemoryTable.write`."""
        for record in records:
            known = self._records[namespace].get(record.id)
            if known and known.digest == record.digest:
                continue
            self._touch(namespace)
            self._records[namespace][record.id] = record
            self._pending[namespace][record.id] = None
            self._index.add((namespace, record.id), record.text)

    async def read(self, places: Sequence[Place]) -> dict[Place, Record]:
        """See `MemoryTable.read`."""
        found = {(namespace, key): self._records[namespace].get(key) for namespace, key in places}
        return {place: record for place, record in found.items() if record}

    async def page(self, namespace: str, after: str, limit: int) -> list[Record]:
        """See `MemoryTable.page`."""
        keys = sorted(key for key in self._records[namespace] if key > after)
        return [self._records[namespace][key] for key in keys[:limit]]

    async def count(self, namespace: str) -> int:
        """See `MemoryTable.count`."""
        return len(self._records[namespace])

    async def remove(self, namespace: str, id: str) -> bool:  # noqa: A002 - the field's word
        """See `MemoryTable.remove`."""
        if self._records[namespace].pop(id, None) is None:
            return False
        self._pending[namespace].pop(id, None)
        self._index.remove((namespace, id))
        self._touch(namespace)
        return True

    async def matches(
        self, namespaces: Sequence[str], words: Sequence[str], facets: Sequence[str], limit: int
    ) -> list[Place]:
        """See `MemoryTable.matches`."""
        wanted = set(facets)
        scores = self._index.scores(words)
        fitting = [
            place for place in scores if place[0] in namespaces and wanted <= self._records[place[0]][place[1]].facets
        ]
        return sorted(fitting, key=lambda place: (-scores[place], place))[:limit]

    async def spaces(self, names: Sequence[str] | None = None) -> list[Space]:
        """See `MemoryTable.spaces`."""
        return [space for space in self._spaces.values() if names is None or space.name in names]

    async def pending(self, namespace: str, limit: int) -> list[Record]:
        """See `MemoryTable.pending`."""
        return [self._records[namespace][key] for key in list(self._pending[namespace])[:limit]]

    async def settle(self, namespace: str, records: Sequence[Record]) -> None:
        """See `MemoryTable.settle`."""
        for record in records:
            known = self._records[namespace].get(record.id)
            if known and known.digest == record.digest:
                self._records[namespace][record.id] = record
                self._pending[namespace].pop(record.id, None)
        self._touch(namespace)

    async def adopt(self, namespace: str, embedder: str) -> None:
        """See `MemoryTable.adopt`."""
        for record in self._records[namespace].values():
            if record.embedded_by != embedder:
                self._pending[namespace][record.id] = None
        self._touch(namespace)
        self._spaces[namespace] = replace(self._spaces[namespace], embedder=embedder)

    def _touch(self, namespace: str) -> None:
        space = self._spaces.get(namespace, Space(namespace, revision=0, embedder=None))
        self._spaces[namespace] = replace(space, revision=space.revision + 1)


class _Index:
    """Which text has which stem how often."""

    def __init__(self) -> None:
        self._postings: defaultdict[str, dict[Place, int]] = defaultdict(dict)
        self._stems: dict[Place, Counter[str]] = {}
        self._length = 0  # of all texts together, in words

    def add(self, place: Place, text: str) -> None:
        """Takes a text in, in place of the one before."""
        self.remove(place)
        self._stems[place] = counted = Counter(stems(text))
        self._length += counted.total()
        for stem, count in counted.items():
            self._postings[stem][place] = count

    def remove(self, place: Place) -> None:
        """Forgets a text, if it is there."""
        for stem in (counted := self._stems.pop(place, Counter())):
            del self._postings[stem][place]
        self._length -= counted.total()

    def scores(self, words: Sequence[str]) -> dict[Place, float]:
        """BM25 of every text that has at least one of the words."""
        scores: defaultdict[Place, float] = defaultdict(float)
        for stem in dict.fromkeys(stem for word in words for stem in stems(word)):
            postings = self._postings.get(stem, {})
            rarity = math.log(1 + (len(self._stems) - len(postings) + 0.5) / (len(postings) + 0.5))
            for place, count in postings.items():
                length = self._stems[place].total() * len(self._stems) / self._length
                saturated = count + SATURATION * (1 - LENGTH_SHARE + LENGTH_SHARE * length)
                scores[place] += rarity * count * (SATURATION + 1) / saturated
        return dict(scores)
