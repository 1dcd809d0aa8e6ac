"""Events of the bus as they travel: those that are kept, with the offsets that subscribers know them by."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from surrealdb import RecordID

from holdfast.ops.transfer.bundle import Item
from holdfast.ops.transfer.part import Tally
from holdfast.ops.transfer.rows import Rows, from_json, to_json
from holdfast.storage.database import Database

EVENT, TOPIC = "bus", "bus_topic"
TOPICS = "SELECT * FROM bus_topic"
EVENTS = """SELECT * FROM bus:[$topic, $after]>..=[$topic, $last] WHERE ephemeral = false LIMIT $limit"""
HERE = "SELECT VALUE id FROM $topics"
PAGE_ROWS = 200


class Topics:
    """The topics in a database. One that is here already goes on as it is: its offsets are taken.

    Args:
        database: where they are.
    """

    name = "events"
    kinds = (EVENT, TOPIC)

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rows = {table: Rows(database, self.name, table) for table in self.kinds}

    async def dump(self) -> AsyncIterator[Item]:
        """See `Part.dump`; a topic's own row comes after its events, so that one that is cut short is not begun."""
        [topics] = await self._database.run(TOPICS)
        for topic in topics:
            async for row in self._events(topic["id"].id, topic["last"]):
                yield {"kind": EVENT, "row": to_json(row)}
            yield {"kind": TOPIC, "row": to_json(topic)}

    def check(self, item: Item) -> None:
        """See `Part.check`."""
        self._rows[item["kind"]].check(item)
        if item["kind"] == EVENT:
            _topic(item)

    async def load(self, items: Sequence[Item]) -> Tally:
        """See `Part.load`."""
        if items[0]["kind"] == TOPIC:
            return await self._rows[TOPIC].load(items)
        topics = {str(topic.id): topic for topic in map(_topic, items)}
        [found] = await self._database.run(HERE, topics=list(topics.values()))
        here = {str(topic.id) for topic in found}
        tally = Tally(same=sum(str(_topic(item).id) in here for item in items))  # else its own row will say so
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
    if not isinstance(identity, list) or len(identity) != 2:
        raise ValueError("the id of an event is not [topic, offset]")
    return RecordID(TOPIC, identity[0])
