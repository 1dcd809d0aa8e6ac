"""Where events are kept: the seam between the bus and its backends."""

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
    """Events that are added to a topic together."""

    topic: str
    texts: tuple[str, ...]
    """Each event as JSON; at least one."""
    transient: bool = False
    key: str | None = None
    """Within the topic, a second publication of this key adds nothing; None: there is no second."""

    @cached_property
    def mark(self) -> str:
        """What tells this publication from all others; the same for the same topic and key."""
        if self.key is None:
            return uuid.uuid4().hex
        return hashlib.sha256(json.dumps([self.topic, self.key]).encode()).hexdigest()

    @property
    def size(self) -> int:
        """Characters of its events."""
        return sum(map(len, self.texts))


@dataclass(frozen=True)
class Stored:
    """An event as it is kept."""

    offset: int
    text: str
    transient: bool


@dataclass(frozen=True)
class Page:
    """Some events of a topic, in order."""

    events: list[Stored]
    pruned: int
    """The highest offset of those that were kept and are gone; 0: none is gone."""
    is_last: bool
    """Whether there were no more when it was read."""

    @property
    def end(self) -> int:
        """The last event's offset; 0: there is none."""
        return self.events[-1].offset if self.events else 0


class EventLog(Protocol):
    """Topics of events. Every method that is awaited may raise StoreUnavailable.

    What makes it a log: whoever has read up to an offset will never find a smaller one that was not there before.
    """

    async def append(self, publications: Sequence[Publication]) -> list[int]:
        """Adds events, and gives the offset of each publication's last one; all of them or none."""
        ...

    async def read(self, topic: str, after: int, limit: int) -> Page:
        """Events with `offset > after`, oldest first, at least `limit` of them if there are so many."""
        ...

    async def heads(self, topics: Sequence[str]) -> dict[str, int]:
        """The offset after which events yet to come will be; 0 for topics without any."""
        ...

    async def forget(self, topic: str, upto: int) -> None:
        """Deletes the transient events of a topic with `offset <= upto`."""

    async def prune(self, before: datetime) -> int:
        """Deletes all events that were published before a time; returns their number."""
        ...

    def watch(self) -> AbstractAsyncContextManager[Watch]:
        """Rings when events may have been added, by whichever process."""
        ...

    def announce(self) -> None:
        """Makes it ring; whoever has added events calls it."""
