"""Event buses under faults of processes, servers and subscribers: no event is lost or repeated."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import PayloadUnreadable, StoreUnavailable
from holdfast.events import BusEvent
from holdfast.storage.bus import Bus, MemoryLog, SurrealLog, dispatcher
from holdfast.storage.bus.conformance_helpers import growing, kept, nothing_comes, numbers, taken, topic
from holdfast.storage.bus.log import Publication
from holdfast.storage.bus.surreal import PUBLISH
from holdfast.storage.database import Database, SurrealDatabase, open_database
from holdfast.storage.database.background import BackgroundDatabase
from holdfast.storage.database.ephemeral import BLOCK, MAX_EVENTS, MAX_TOPICS
from holdfast.storage.encryption import KeyRing, new_key
from tests.support.databases import EMBEDDED, SERVED, Databases

ROOT = Path(__file__).parents[2]
SUBSCRIBERS, PUBLISHERS, EVENTS = 5, 3, 40
FRUGAL = 64 * 1024  # bytes on disk that 10,000 forgotten events may leave; written, they would be megabytes


def bus_on(database: Database) -> Bus:
    return Bus(SurrealLog(database))


async def insist(bus: Bus, name: str, item: dict[str, Any], key: str) -> None:
    """Publishes until it is acknowledged."""
    while True:
        try:
            await bus.publish(name, item, key=key)
        except StoreUnavailable:
            await asyncio.sleep(0.05)
        else:
            return


async def test_a_server_that_dies_costs_no_event(databases: Databases) -> None:
    """A subscriber gets every acknowledged event exactly once across a crash of the server."""
    name, total = topic(), PUBLISHERS * EVENTS
    workers = [bus_on(databases.at("ws", "restarted")) for _ in range(PUBLISHERS)]
    readers = [bus_on(databases.at("ws", "restarted")) for _ in range(SUBSCRIBERS)]

    async def publisher(number: int, bus: Bus) -> None:
        for item in range(EVENTS):
            await insist(bus, name, {"n": [number, item]}, key=f"{number}/{item}")
            if number == 0 and item in (EVENTS // 3, EVENTS // 2):
                databases.server.kill()
                await asyncio.sleep(0.1)
                databases.server.start()

    subscriptions = [bus.subscribe(name, 0) for bus in readers]
    reading = [asyncio.create_task(taken(each, total)) for each in subscriptions]
    await asyncio.sleep(0.2)
    await asyncio.gather(*(publisher(number, bus) for number, bus in enumerate(workers)))
    first, *others = await asyncio.gather(*reading)
    growing(first)
    for number in range(PUBLISHERS):
        own = [event.data["n"] for event in first if event.data["n"][0] == number]  # type: ignore[index]
        assert own == [[number, item] for item in range(EVENTS)]
    assert all(other == first for other in others)
    await nothing_comes(subscriptions[0])
    for bus in (*workers, *readers):
        await bus.close()


@pytest.mark.parametrize("kind", SERVED)
async def test_publishers_that_contend_leave_no_gap(kind: str, databases: Databases) -> None:
    """Offsets become visible in order, so a subscriber skips none."""
    name, workers, each = topic(), 4, 30
    buses = [bus_on(databases.at(kind, "contended")) for _ in range(workers)]
    reader = bus_on(databases.at(kind, "contended"))

    async def publisher(number: int, bus: Bus) -> None:
        for item in range(each):
            await bus.publish(name, {"n": [number, item]}, ephemeral=item % 3 == 0)

    async with reader.subscribe(name) as live:
        reading = asyncio.create_task(taken(live, workers * each))
        await asyncio.gather(*(publisher(number, bus) for number, bus in enumerate(buses)))
        seen = await reading
    assert seen == await kept(reader, name, workers * each)
    for bus in (*buses, reader):
        await bus.close()


async def test_an_event_whose_answer_was_lost_is_there_once(databases: Databases) -> None:
    """An event that is sent again after a lost connection is stored once."""

    class Doubling(SurrealDatabase):
        """Carries out what publishes, loses the answer, and sends it again, as `Connection.run` does."""

        async def run(self, statement: str, **values: Any) -> list[Any]:
            if statement == PUBLISH:
                await super().run(statement, **values)
            return await super().run(statement, **values)

    inner = databases.new("ws")
    assert isinstance(inner, SurrealDatabase)
    database = Doubling(inner._pool._endpoint)  # type: ignore[arg-type]
    bus, name = bus_on(database), topic()
    offsets = [await bus.publish(name, {"n": number}) for number in range(3)]
    assert offsets == [1, 2, 3]
    assert numbers(await kept(bus, name, 3)) == [0, 1, 2]
    await bus.close()
    await database.close()


async def test_an_event_that_was_not_announced_is_found(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> None:
    """Subscribers find the event of a publisher that died before it announced it."""
    monkeypatch.setattr(dispatcher, "POLL_INTERVAL", 0.1)
    database = databases.new("mem")
    bus, name = bus_on(database), topic()
    async with bus.subscribe(name) as events:
        await bus.publish(name, {"n": 1})
        await taken(events, 1)
        await SurrealLog(database).append([Publication(name, ('{"n":2}',))])
        assert numbers(await taken(events, 1)) == [2]
    await bus.close()


@pytest.mark.parametrize("this_one_holds", [True, False])
async def test_processes_hear_each_other(tmp_path: Path, this_one_holds: bool) -> None:
    """Events reach subscribers in other processes."""
    url, name, count = f"surrealkv://{tmp_path}/data", topic(), 20
    database = open_database(url, shared=True)
    bus = bus_on(database)
    if this_one_holds:
        await database.open()
    peer = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.bus_peer", url, name, str(count),
        cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert peer.stdout is not None
    if not this_one_holds:
        assert await peer.stdout.readline()
    async with bus.subscribe(name, 0) as events:
        seen = await taken(events, count)
        assert numbers(seen) == list(range(count))
        assert [event.ephemeral for event in seen] == [number % 2 == 1 for number in range(count)]
        await bus.publish(name, {"n": count}, ephemeral=True)
        assert numbers(await taken(events, 1)) == [count]
        await peer.communicate(b"")
        assert peer.returncode == 0
        last = await bus.publish(name, {"n": -1})
        assert numbers(await taken(events, 1)) == [-1], "also when the holder has gone"
        assert last > seen[-1].offset
    await bus.close()
    await database.close()


@pytest.mark.parametrize("killed", [True, False])
async def test_offsets_grow_though_the_holder_dies(tmp_path: Path, killed: bool) -> None:
    """Offsets of lost ephemeral events are never reused."""
    url, name = f"surrealkv://{tmp_path}/data", topic()
    peer = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.bus_peer", url, name, "10",
        cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert peer.stdout is not None
    last = int(await peer.stdout.readline())
    if killed:
        peer.kill()
        await peer.wait()
    else:
        await peer.communicate(b"")
    database = open_database(url, shared=True)
    bus = bus_on(database)
    lasting = [event for event in await kept(bus, name, 5) if not event.ephemeral]
    assert numbers(lasting) == [0, 2, 4, 6, 8]
    assert await bus.publish(name, {"n": 10}, ephemeral=True) > last
    await bus.publish(name, {"n": 11})
    assert numbers(await kept(bus, name, 2, after=last)) == [10, 11]
    await bus.close()
    await database.close()


async def test_ephemeral_events_leave_nothing_on_disk(tmp_path: Path) -> None:
    """Ephemeral events leave nothing on disk in an embedded database."""
    folder = tmp_path / "data"
    database = open_database(f"surrealkv://{folder}")
    bus, name = bus_on(database), topic()
    await database.open()
    before = size_of(folder)
    for start in range(0, 10_000, 100):
        last = await bus.publish(name, *({"n": number} for number in range(start, start + 100)), ephemeral=True)
    await bus.discard(name, last)
    await bus.publish(name, {"n": -1})
    assert numbers(await kept(bus, name, 1)) == [-1]
    await bus.close()
    await database.close()
    assert size_of(folder) - before < FRUGAL


def size_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


@pytest.mark.parametrize("kind", ["mem", "ws", "memory"])
async def test_ephemeral_events_are_bounded(kind: str, databases: Databases) -> None:
    """Ephemeral events are bounded, even if their publisher crashes."""
    bus, name = Bus(MemoryLog()) if kind == "memory" else bus_on(databases.new(kind)), topic()
    await bus.publish(name, {"n": -1})
    for start in range(0, 2 * MAX_EVENTS + BLOCK, 250):
        last = await bus.publish(name, *({"n": number} for number in range(start, start + 250)), ephemeral=True)
    await bus.publish(name, {"n": "end"})
    found: list[BusEvent] = []
    async with bus.subscribe(name, 0) as events:
        while not found or found[-1].data["n"] != "end":
            found += await taken(events, 1)
    assert MAX_EVENTS <= len(found) - 2 < 1.4 * MAX_EVENTS
    assert found[0].data == {"n": -1}
    assert found[-2].offset == last
    await bus.close()


async def test_topics_with_ephemeral_events_are_bounded(databases: Databases) -> None:
    """The number of topics with ephemeral events in memory is bounded."""
    bus = bus_on(databases.new("mem"))
    first, last = topic(), topic()
    offset = await bus.publish(first, {"n": 1}, ephemeral=True)
    await asyncio.gather(
        *(bus.publish(f"{last}/{number}", {"n": number}, ephemeral=True) for number in range(MAX_TOPICS))
    )
    assert numbers(await kept(bus, f"{last}/{MAX_TOPICS - 1}", 1)) == [MAX_TOPICS - 1]
    assert await bus.publish(first, {"n": 2}, ephemeral=True) > offset
    assert numbers(await kept(bus, first, 1)) == [2]
    await bus.close()


async def test_the_database_does_not_show_what_events_say(databases: Databases) -> None:
    """With a key, the database does not hold the text of events."""
    database, secret = databases.new("ws"), "the canary sings"
    name, keys = topic(), KeyRing.parse(new_key())
    bus = Bus(SurrealLog(database, keys))
    await bus.publish(name, {"text": secret})
    await bus.publish(name, {"text": secret}, ephemeral=True)
    assert [event.data for event in await kept(bus, name, 2)] == [{"text": secret}] * 2
    assert secret not in str(await database.run("SELECT * FROM bus"))
    stranger = Bus(SurrealLog(database, KeyRing.parse(new_key())))
    with pytest.raises(PayloadUnreadable):
        await kept(stranger, name, 1)
    await stranger.close()
    await bus.close()


async def test_a_live_subscriber_is_told_that_it_cannot_read(databases: Databases) -> None:
    """A subscriber without the key gets an error instead of waiting."""
    database, name = databases.new("mem"), topic()
    stranger, bus = Bus(SurrealLog(database, KeyRing.parse(new_key()))), Bus(SurrealLog(database))
    async with stranger.subscribe(name) as events:
        await bus.publish(name, {"n": 1})
        assert numbers(await taken(events, 1)) == [1]
        waiting = asyncio.create_task(anext(events))
        await asyncio.sleep(0.1)
        await Bus(SurrealLog(database, KeyRing.parse(new_key()))).publish(name, {"n": 2})
        with pytest.raises(PayloadUnreadable):
            await waiting
    await bus.close()
    await stranger.close()


@pytest.mark.parametrize("kind", ["memory", "background"])
def test_several_event_loops_share_a_bus(kind: str, tmp_path: Path) -> None:
    """Several event loops use one bus, one after the other or at once."""
    url = f"surrealkv://{tmp_path}/data"
    database = BackgroundDatabase(lambda: open_database(url))
    bus, name = Bus(MemoryLog()) if kind == "memory" else bus_on(database), topic()

    async def use(number: int) -> list[Any]:
        async with bus.subscribe(name) as events:
            await bus.publish(name, {"n": number})
            return numbers(await taken(events, 1))

    async def end() -> None:
        await bus.close()
        await database.close()

    assert [asyncio.run(use(number)) for number in range(3)] == [[0], [1], [2]]
    assert numbers(asyncio.run(kept(bus, name, 3))) == [0, 1, 2]
    asyncio.run(end())


@pytest.mark.parametrize("kind", [*EMBEDDED, "ws"])
async def test_pruning_goes_through_many_rows(kind: str, databases: Databases) -> None:
    """Pruning deletes any number of rows in short statements."""
    database = databases.new(kind)
    bus, names = bus_on(database), [topic(), topic()]
    for name in names:
        for _ in range(3):
            await bus.publish(name, *[{"n": 0}] * 250)
    await bus.publish(names[0], {"n": 1}, ephemeral=True)
    assert await bus.prune(datetime.now(UTC) + timedelta(seconds=1)) >= 1500
    assert (await database.run("SELECT VALUE id FROM bus"))[0] == []
    assert (await database.run("SELECT VALUE pruned FROM bus_topic"))[0] == [750, 750]
    await bus.close()
