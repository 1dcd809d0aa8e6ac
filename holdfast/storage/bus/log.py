"""The port of an event log, on which the bus is built."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Protocol

from holdfast.storage.database import Watch


@dataclass(frozen=True)
class Publication:
    """Events that are added to a topic as a unit."""

    topic: str
    texts: tuple[str, ...]
    """Each event as JSON; at least one."""
    ephemeral: bool = False
    key: str | None = None
    """A second publication with this key adds nothing to the topic; `None` means no deduplication."""

    @cached_property
    def mark(self) -> str:
        """Identifies this publication; equal for equal topic and key."""
        if self.key is None:
            return uuid.uuid4().hex
        return hashlib.sha256(json.dumps([self.topic, self.key]).encode()).hexdigest()

    @property
    def size(self) -> int:
        """Number of characters of its events."""
        return sum(map(len, self.texts))


@dataclass(frozen=True)
class Stored:
    """A stored event."""

    offset: int
    text: str
    at: datetime
    """When it was added; aware."""
    ephemeral: bool


@dataclass(frozen=True)
class Page:
    """Consecutive events of a topic, in order."""

    events: list[Stored]
    pruned: int
    """The highest offset that was pruned; 0 if none was."""
    is_last: bool
    """Whether there were no more events at the time of reading."""

    @property
    def end(self) -> int:
        """The last event's offset; 0 if the page is empty."""
        return self.events[-1].offset if self.events else 0


class EventLog(Protocol):
    """Stores events by topic. Every async method may raise StoreUnavailable.

    Offsets become visible in order: after a reader has seen an offset, no event with a smaller one appears.
    """

    async def append(self, publications: Sequence[Publication]) -> list[int]:
        """Adds all events or none; returns the offset of each publication's last event."""
        ...

    async def read(self, topic: str, after: int, limit: int) -> Page:
        """Returns events with `offset > after`, oldest first; at least `limit` if there are that many."""
        ...

    async def heads(self, topics: Sequence[str]) -> dict[str, int]:
        """Returns the newest offset of each topic; later events have higher ones. 0 for topics without events."""
        ...

    async def discard(self, topic: str, upto: int) -> None:
        """Deletes the ephemeral events of a topic with `offset <= upto`."""

    async def prune(self, before: datetime) -> int:
        """Deletes all events that were published before a time; returns their number."""
        ...

    def watch(self) -> AbstractAsyncContextManager[Watch]:
        """Watches for events that any process adds."""
        ...

    def is_watched(self) -> bool:
        """Whether any process may be watching; True if only another process knows."""
        ...

    def announce(self) -> None:
        """Notifies the watches; call it after `append`."""
