"""A process that publishes to a shared event bus: argument 1 is the database's URL, 2 the topic, 3 how many events."""

from __future__ import annotations

import asyncio
import sys

from holdfast.storage.bus import Bus, SurrealLog
from holdfast.storage.database import open_database


async def main(url: str, topic: str, count: int) -> None:
    """Publishes numbers, alternately stored and ephemeral, until it is stopped."""
    database = open_database(url, shared=True)
    bus = Bus(SurrealLog(database))
    for number in range(count):
        offset = await bus.publish(topic, {"n": number}, ephemeral=number % 2 == 1)
    print(offset, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await bus.discard(topic, offset)
    await bus.close()
    await database.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
