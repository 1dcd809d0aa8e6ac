"""Export and import of the stored events of the bus, with their offsets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from types import NoneType

from surrealdb import RecordID
from typing_extensions import override

from holdfast.ops.transfer.bundle import Item
from holdfast.ops.transfer.part import Part, Tally
from holdfast.ops.transfer.rows import Rows, from_json, to_json
from holdfast.storage.database import Database

EVENT, TOPIC = "bus", "bus_topic"
COLUMNS: dict[str, dict[str, tuple[type, ...]]] = {
    EVENT: {"text": (str,), "at": (datetime,), "ephemeral": (bool,), "key": (str, NoneType)},
    TOPIC: {"last": (int,), "lasting": (int, NoneType), "pruned": (int, NoneType), "at": (datetime,)},
}
TOPICS = "SELECT * FROM bus_topic"
EVENTS = """SELECT * FROM bus:[$topic, $after]>..=[$topic, $last] WHERE ephemeral = false LIMIT $limit"""
HERE = "SELECT VALUE id FROM $topics"
PAGE_ROWS = 200


class Topics(Part):
    """The topics of the event bus. An existing topic is not changed, as its offsets are in use.

    Args:
        database: the database of the bus.
    """

    name = "events"
    kinds = (EVENT, TOPIC)

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rows = {table: Rows(database, self.name, table, COLUMNS[table]) for table in self.kinds}

    @override
    async def dump(self) -> AsyncIterator[Item]:
        # A topic's own row follows its events, so that an interrupted import does not create the topic.
        [topics] = await self._database.run(TOPICS)
        for topic in topics:
            async for row in self._events(topic["id"].id, topic["last"]):
                yield {"kind": EVENT, "row": to_json(row)}
            yield {"kind": TOPIC, "row": to_json(topic)}

    @override
    def check(self, item: Item) -> None:
        self._rows[item["kind"]].check(item)
        if item["kind"] == EVENT:
            _topic(item)
        elif not isinstance(from_json(item["row"])["id"].id, str):
            raise ValueError("the id of a topic must be its name")

    @override
    async def load(self, items: Sequence[Item]) -> Tally:
        if items[0]["kind"] == TOPIC:
            return await self._rows[TOPIC].load(items)
        topics = {str(topic.id): topic for topic in map(_topic, items)}
        [found] = await self._database.run(HERE, topics=list(topics.values()))
        here = {str(topic.id) for topic in found}
        tally = Tally(
            same=sum(str(_topic(item).id) in here for item in items)
        )  # new ones are counted with their topic's row
        new = [item for item in items if str(_topic(item).id) not in here]
        if new:
            tally += await self._rows[EVENT].load(new)
        return tally

    async def _events(self, topic: str, last: int) -> AsyncIterator[dict[str, object]]:
        after = 0
        while True:
            [rows] = await self._database.run(EVENTS, topic=topic, after=after, last=last, limit=PAGE_ROWS)
            for row in rows:
                yield row
            if len(rows) < PAGE_ROWS:
                return
            after = rows[-1]["id"].id[1]


def _topic(item: Item) -> RecordID:
    """The row of an event's topic."""
    identity = from_json(item["row"])["id"].id
    if not isinstance(identity, list) or list(map(type, identity)) != [str, int]:
        raise ValueError("the id of an event must be [topic, offset]")
    return RecordID(TOPIC, identity[0])
