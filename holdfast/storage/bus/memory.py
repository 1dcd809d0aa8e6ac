"""The event log in memory."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from typing_extensions import override

from holdfast.storage.bus.log import EventLog, Page, Publication, Stored
from holdfast.storage.database import Watch

MAX_KEPT = 10_000  # lasting events of one topic; the oldest are pruned
MAX_EPHEMERAL = 2000  # ephemeral events of one topic


@dataclass
class _Topic:
    """One topic; events by offset, in order."""

    last: int = 0
    pruned: int = 0
    events: dict[int, Stored] = field(default_factory=dict)
    marks: dict[str, int] = field(default_factory=dict)

    def add(self, publication: Publication) -> int:
        if (known := self.marks.get(publication.mark)) is not None:
            return known
        for text in publication.texts:
            self.last += 1
            self.events[self.last] = Stored(self.last, text, datetime.now(UTC), publication.ephemeral)
        if publication.key is not None:
            self.marks[publication.mark] = self.last
        self._trim(ephemeral=publication.ephemeral)
        return self.last

    def drop(self, offsets: Sequence[int]) -> None:
        for offset in offsets:
            if not self.events.pop(offset).ephemeral:
                self.pruned = max(self.pruned, offset)
        gone = set(offsets)
        self.marks = {mark: offset for mark, offset in self.marks.items() if offset not in gone}

    def _trim(self, *, ephemeral: bool) -> None:
        limit = MAX_EPHEMERAL if ephemeral else MAX_KEPT
        if len(self.events) > limit:
            kind = [each.offset for each in self.events.values() if each.ephemeral is ephemeral]
            if len(kind) > limit + limit // 10:  # in batches of a tenth, because each deletion scans all events
                self.drop(kind[:-limit])


class MemoryLog(EventLog):
    """An EventLog in memory; it may be used from several threads, each with its own event loop."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._topics: defaultdict[str, _Topic] = defaultdict(_Topic)
        self._watches: dict[Watch, asyncio.AbstractEventLoop] = {}

    @override
    async def append(self, publications: Sequence[Publication]) -> list[int]:
        with self._guard:
            return [self._topics[each.topic].add(each) for each in publications]

    @override
    async def read(self, topic: str, after: int, limit: int) -> Page:
        with self._guard:
            known = self._topics[topic]
            events = [stored for offset, stored in known.events.items() if offset > after]
            return Page(events[:limit], known.pruned, len(events) <= limit)

    @override
    async def heads(self, topics: Sequence[str]) -> dict[str, int]:
        with self._guard:
            return {topic: self._topics[topic].last for topic in topics}

    @override
    async def discard(self, topic: str, upto: int) -> None:
        with self._guard:
            known = self._topics[topic]
            known.drop([each.offset for each in known.events.values() if each.ephemeral and each.offset <= upto])

    @override
    async def prune(self, before: datetime) -> int:
        with self._guard:
            return sum(_prune(known, before) for known in self._topics.values())

    @override
    @asynccontextmanager
    async def watch(self) -> AsyncIterator[Watch]:
        watch = Watch()
        with self._guard:
            self._watches[watch] = asyncio.get_running_loop()
        try:
            yield watch
        finally:
            with self._guard:
                del self._watches[watch]

    @override
    def is_watched(self) -> bool:
        return bool(self._watches)

    @override
    def announce(self) -> None:
        with self._guard:
            for watch, loop in self._watches.items():
                if not loop.is_closed():
                    loop.call_soon_threadsafe(watch.notify)


def _prune(topic: _Topic, before: datetime) -> int:
    old = [offset for offset, stored in topic.events.items() if stored.at < before]
    topic.drop(old)
    return len(old)
