"""Notes: what is carried beside an embedded database, in the memory of the process that holds it.

A stream of tokens is worth nothing once its message is complete. As rows it would cost a sync of the disk for each
piece, and leave each for good in files that are never compacted. So pieces are kept here, by topic, and go when they
are told to, when there are too many, or with the process.

Notes and rows of a topic share their numbers. The highest that was given out stands in the topic's row of `bus_topic`;
notes take it on by a block at a time, so that most of them write nothing, and none is given a number twice.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from surrealdb import RecordID

from holdfast.errors import UsageError
from holdfast.storage.database.connection import Connection
from holdfast.storage.database.pool import Pool

BLOCK = 1000  # numbers taken at once: a write of some 100 bytes for a minute of tokens
MAX_NOTES = 2000  # of one topic: who begins to read in mid-sentence sees all of it
MAX_CHARS = 1024 * 1024  # of one topic
MAX_TOPICS = 1000  # the one that was written to longest ago goes first

LAST = "SELECT id, last FROM $rows"
RESERVE = "UPSERT $rows SET last = (last ?? 0) + $count, at = time::now() RETURN id, last"

Group = tuple[str, list[str]]
"""A topic and the texts that are added to it."""


@runtime_checkable
class Noting(Protocol):
    """A database that may have notes beside it."""

    async def note(self, act: str, **values: Any) -> Any:
        """Does what `Notes.call` does, wherever the notes are; None: it is on a server, and has none.

        Raises:
            StoreUnavailable: there was no answer, or no database.
        """
        ...


async def note(database: object, act: str, **values: Any) -> Any:
    """Has notes used; None: there are none."""
    return await database.note(act, **values) if isinstance(database, Noting) else None


@dataclass
class _Topic:
    """A topic's notes and the rest of its block."""

    newest: int = 0
    end: int = 0
    """The last number of the block; what is in the row while nobody else has taken numbers."""
    notes: deque[tuple[int, str]] = field(default_factory=deque)
    chars: int = 0

    def add(self, text: str) -> None:
        self.newest += 1
        self.notes.append((self.newest, text))
        self.chars += len(text)
        while len(self.notes) > MAX_NOTES or self.chars > MAX_CHARS:
            self.drop()

    def drop(self) -> None:
        self.chars -= len(self.notes.popleft()[1])


class Notes:
    """The notes beside one embedded database.

    Args:
        pool: the database, whose one connection keeps what is done here apart from all statements.
    """

    def __init__(self, pool: Pool[Any]) -> None:
        self._pool = pool
        self._topics: OrderedDict[str, _Topic] = OrderedDict()

    async def call(self, act: str, values: dict[str, Any]) -> Any:
        """Does what a caller asks for, who may be another process.

        `add` (`groups`): adds notes; gives the number of each group's last one.
        `read` (`topic`, `after`, `upto`): gives number and text of the notes between, the latter included.
        `newest` (`topics`): gives the highest number that a note has had, for each; 0: none is known.
        `forget` (`topic`, `upto`): drops notes up to a number; gives true.

        Raises:
            UsageError: it is none of these.
        """
        match act:
            case "add":
                groups = [(str(topic), list(texts)) for topic, texts in values["groups"]]
                return await self._pool.lend(lambda connection: self._add(connection, groups))
            case "read":
                return self._read(values["topic"], values["after"], values["upto"])
            case "newest":
                return [self._known(topic).newest for topic in values["topics"]]
            case "forget":
                return self._forget(values["topic"], values["upto"])
        raise UsageError(f"notes cannot be asked to {act!r}")

    def _known(self, topic: str) -> _Topic:
        return self._topics.get(topic) or _Topic()

    async def _add(self, connection: Connection[Any], groups: list[Group]) -> list[int]:
        """Only while it holds the connection: rows that come later must get higher numbers."""
        await self._reserve(connection, groups)
        numbers = []
        for name, texts in groups:
            topic = self._topics[name]
            for text in texts:
                topic.add(text)
            numbers.append(topic.newest)
        while len(self._topics) > MAX_TOPICS:
            self._topics.popitem(last=False)
        return numbers

    async def _reserve(self, connection: Connection[Any], groups: list[Group]) -> None:
        """Sees to it that each topic has numbers left that are higher than those of all rows."""
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
            [taken] = await connection.run(RESERVE, {"rows": [_row(name) for name in short], "count": count})
            for row in taken:
                self._begin_block(self._topics[row["id"].id], row["last"], count)

    def _has_left(self, name: str, last: int, count: int) -> bool:
        topic = self._topics[name]
        return topic.end == last and topic.end - topic.newest >= count

    def _begin_block(self, topic: _Topic, end: int, count: int) -> None:
        if end - count < topic.newest:  # the row was deleted, and counts from 0 again
            topic.notes.clear()
            topic.chars = 0
        topic.newest, topic.end = end - count, end

    def _read(self, topic: str, after: int, upto: int) -> list[tuple[int, str]]:
        return [(number, text) for number, text in self._known(topic).notes if after < number <= upto]

    def _forget(self, name: str, upto: int) -> bool:
        topic = self._known(name)
        while topic.notes and topic.notes[0][0] <= upto:
            topic.drop()
        return True


def _row(topic: str) -> RecordID:
    return RecordID("bus_topic", topic)
