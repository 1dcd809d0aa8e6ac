"""Ephemeral events of an embedded database, in the memory of the process that owns its files.

A stream of tokens has no value once its message is complete. As a row, each piece would cost a disk sync and occupy
space for good, because the engine never compacts its files. So these events stay in memory, grouped by topic, until
they are deleted, until there are too many of them, or until the process ends.

Ephemeral events and rows of a topic share one sequence of offsets. The highest offset that has been assigned is stored
in the topic's row of `bus_topic`. Ephemeral events reserve offsets there in blocks, so most of them write nothing and
no offset is assigned twice.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from surrealdb import RecordID

from holdfast.errors import UsageError
from holdfast.storage.database.connection import Connection
from holdfast.storage.database.pool import Pool

BLOCK = 1000  # offsets reserved at once: one write of some 100 bytes for a minute of tokens
MAX_EVENTS = 2000  # per topic: enough for a subscriber that joins mid-message to receive all of it
MAX_CHARS = 1024 * 1024  # per topic
MAX_TOPICS = 1000  # beyond it, the topic with the oldest last write is dropped

LAST = "SELECT id, last FROM $rows"
RESERVE = "UPSERT $rows SET last = (last ?? 0) + $count, at = time::now() RETURN id, last"

Group = tuple[str, list[str]]
"""A topic and the texts to add to it."""
Event = tuple[int, str, float]
"""An event's offset, text, and time in seconds since 1970."""


@runtime_checkable
class EphemeralEventHost(Protocol):
    """A database that may hold ephemeral events."""

    async def ephemeral(self, operation: str, **values: Any) -> Any:
        """Calls `EphemeralEvents.call` in the process that owns the database.

        Returns:
            What the operation returns, or `None` if the database is on a server, which has no ephemeral events.

        Raises:
            StoreUnavailable: the database did not answer.
        """
        ...


async def call_ephemeral(database: object, operation: str, **values: Any) -> Any:
    """Calls `EphemeralEvents.call` of a database; returns `None` if it has no ephemeral events."""
    return await database.ephemeral(operation, **values) if isinstance(database, EphemeralEventHost) else None


@dataclass
class _Topic:
    """The events of a topic and the rest of its block of offsets."""

    newest: int = 0
    end: int = 0
    """The last offset of the block; equals the row's `last` until another writer assigns offsets."""
    events: deque[Event] = field(default_factory=deque)
    chars: int = 0

    def add(self, text: str) -> None:
        self.newest += 1
        self.events.append((self.newest, text, time.time()))
        self.chars += len(text)
        while len(self.events) > MAX_EVENTS or self.chars > MAX_CHARS:
            self.drop_oldest()

    def drop_oldest(self) -> None:
        self.chars -= len(self.events.popleft()[1])


class EphemeralEvents:
    """The ephemeral events of one embedded database.

    Args:
        pool: the database; holding its only connection excludes every other statement.
    """

    def __init__(self, pool: Pool[Any]) -> None:
        self._pool = pool
        self._topics: OrderedDict[str, _Topic] = OrderedDict()

    async def call(self, operation: str, values: dict[str, Any]) -> Any:
        """Runs one operation; the caller may be another process.

        - `add` (`groups`) adds events and returns the last offset of each group.
        - `read` (`topic`, `after`, `upto`) returns the events with `after < offset <= upto`, each as an `Event`.
        - `newest` (`topics`) returns the highest offset of an event for each topic; 0 if it has had none.
        - `delete` (`topic`, `upto`) deletes the events with `offset <= upto` and returns true.

        Raises:
            UsageError: the operation is none of these.
        """
        match operation:
            case "add":
                groups = [(str(topic), list(texts)) for topic, texts in values["groups"]]
                return await self._pool.lend(lambda connection: self._add(connection, groups))
            case "read":
                return self._read(values["topic"], values["after"], values["upto"])
            case "newest":
                return [self._find(topic).newest for topic in values["topics"]]
            case "delete":
                return self._delete(values["topic"], values["upto"])
        raise UsageError(
            f"ephemeral events have no operation {operation!r}: restart the process that owns the database, "
            "it may run an older version"
        )

    def _find(self, topic: str) -> _Topic:
        return self._topics.get(topic) or _Topic()

    async def _add(self, connection: Connection[Any], groups: list[Group]) -> list[int]:
        """Adds events while it holds the connection, so that rows written later get higher offsets."""
        await self._reserve(connection, groups)
        offsets = []
        for name, texts in groups:
            topic = self._topics[name]
            for text in texts:
                topic.add(text)
            offsets.append(topic.newest)
        while len(self._topics) > MAX_TOPICS:
            self._topics.popitem(last=False)
        return offsets

    async def _reserve(self, connection: Connection[Any], groups: list[Group]) -> None:
        """Ensures that each topic has enough offsets left that are higher than those of all its rows."""
        needed: dict[str, int] = {}
        for name, texts in groups:
            needed[name] = needed.get(name, 0) + len(texts)
            self._topics.setdefault(name, _Topic())
            self._topics.move_to_end(name)
        [found] = await connection.run(LAST, {"rows": [_row(name) for name in needed]})
        last = {row["id"].id: row["last"] for row in found}
        short = [name for name, count in needed.items() if not self._has_left(name, last.get(name, 0), count)]
        if short:
            count = BLOCK + max(needed[name] for name in short)
            [reserved] = await connection.run(RESERVE, {"rows": [_row(name) for name in short], "count": count})
            for row in reserved:
                self._begin_block(self._topics[row["id"].id], row["last"], count)

    def _has_left(self, name: str, last: int, count: int) -> bool:
        topic = self._topics[name]
        return topic.end == last and topic.end - topic.newest >= count

    def _begin_block(self, topic: _Topic, end: int, count: int) -> None:
        if end - count < topic.newest:  # the topic's row was deleted, so its offsets start again at 0
            topic.events.clear()
            topic.chars = 0
        topic.newest, topic.end = end - count, end

    def _read(self, topic: str, after: int, upto: int) -> list[Event]:
        return [event for event in self._find(topic).events if after < event[0] <= upto]

    def _delete(self, name: str, upto: int) -> bool:
        topic = self._find(name)
        while topic.events and topic.events[0][0] <= upto:
            topic.drop_oldest()
        return True


def _row(topic: str) -> RecordID:
    return RecordID("bus_topic", topic)
