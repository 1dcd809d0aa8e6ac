"""Memories in this process, with an index of their words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from typing_extensions import override

from holdfast._util.blocking import run_blocking
from holdfast.storage.memory.record import Record
from holdfast.storage.memory.table import MemoryTable, Place, Space
from holdfast.storage.memory.word_index import Entry, WordIndex


class InProcessTable(MemoryTable):
    """A MemoryTable whose contents are lost when the process ends."""

    def __init__(self) -> None:
        self._records: defaultdict[str, dict[str, Record]] = defaultdict(dict)
        self._pending: defaultdict[str, dict[str, None]] = defaultdict(dict)
        self._spaces: dict[str, Space] = {}
        self._index = WordIndex()

    @override
    async def write(self, namespace: str, records: Sequence[Record]) -> None:
        latest = {record.id: record for record in records}
        changed = [record for record in latest.values() if not self._has(record)]
        if not changed:
            return
        entries = [Entry((namespace, record.id), record.text, record.facets) for record in changed]
        await run_blocking(self._index.put, entries)
        for record in changed:
            self._records[namespace][record.id] = record
            self._pending[namespace][record.id] = None
        self._touch(namespace)

    @override
    async def read(self, places: Sequence[Place]) -> dict[Place, Record]:
        found = {(namespace, key): self._records[namespace].get(key) for namespace, key in places}
        return {place: record for place, record in found.items() if record}

    @override
    async def page(self, namespace: str, after: str, limit: int) -> list[Record]:
        keys = sorted(key for key in self._records[namespace] if key > after)
        return [self._records[namespace][key] for key in keys[:limit]]

    @override
    async def count(self, namespace: str) -> int:
        return len(self._records[namespace])

    @override
    async def remove(self, namespace: str, id: str) -> bool:
        if self._records[namespace].pop(id, None) is None:
            return False
        self._pending[namespace].pop(id, None)
        self._index.remove((namespace, id))
        self._touch(namespace)
        return True

    @override
    async def matches(
        self, namespaces: Sequence[str], words: Sequence[str], facets: Sequence[str], limit: int
    ) -> list[Place]:
        found = await run_blocking(self._index.matches, namespaces, words, facets, limit)
        return [(namespace, key) for namespace, key in found if key in self._records[namespace]]

    @override
    async def spaces(self, names: Sequence[str] | None = None) -> list[Space]:
        return [space for space in self._spaces.values() if names is None or space.name in names]

    @override
    async def pending(self, namespace: str, limit: int) -> list[Record]:
        return [self._records[namespace][key] for key in list(self._pending[namespace])[:limit]]

    @override
    async def settle(self, namespace: str, records: Sequence[Record]) -> None:
        for record in records:
            if self._has(record):
                self._records[namespace][record.id] = record
                self._pending[namespace].pop(record.id, None)
        self._touch(namespace)

    @override
    async def adopt(self, namespace: str, embedder: str) -> None:
        for record in self._records[namespace].values():
            if record.embedded_by != embedder:
                self._pending[namespace][record.id] = None
        self._touch(namespace)
        self._spaces[namespace] = replace(self._spaces[namespace], embedder=embedder)

    def _has(self, record: Record) -> bool:
        known = self._records[record.namespace].get(record.id)
        return known is not None and known.digest == record.digest

    def _touch(self, namespace: str) -> None:
        space = self._spaces.get(namespace, Space(namespace, revision=0, embedder=None))
        self._spaces[namespace] = replace(space, revision=space.revision + 1)
