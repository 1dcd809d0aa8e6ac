"""Watches of tables: they notice each change by any process, also across restarts of the server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from holdfast.storage.database import Database, Watch, live_queries
from tests.support.databases import EMBEDDED, SERVED, Databases

TIMEOUT = 10.0  # seconds; a change is heard within milliseconds, a server is back within a second or two
QUIET = 0.3  # seconds without a call, after which none is taken to come
NOTES = "SELECT VALUE n FROM note ORDER BY n"


async def seen(database: Database, watch: Watch, count: int) -> list[Any]:
    """Reads and waits, as watchers do, until there are `count` notes."""
    async with asyncio.timeout(TIMEOUT):
        while len(notes := (await database.run(NOTES))[0]) < count:
            await watch.changed()
    return list(notes)


async def quiet(watch: Watch) -> bool:
    try:
        async with asyncio.timeout(QUIET):
            await watch.changed()
    except TimeoutError:
        return True
    return False


async def settled(watch: Watch) -> None:
    """Waits until the watch is listening and sends no more notifications."""
    while not await quiet(watch):
        pass


async def count_live_queries(database: Database) -> int:
    [information] = await database.run("INFO FOR TABLE note")
    return len(information["lives"])


async def no_live_queries(database: Database) -> None:
    """Waits for the server to notice that a connection has gone."""
    async with asyncio.timeout(TIMEOUT):
        while await count_live_queries(database):  # noqa: ASYNC110  # there is nothing of ours to wait on
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("kind", EMBEDDED + SERVED)
async def test_touch_wakes_those_who_watch_that_table(kind: str, databases: Databases) -> None:
    """`touch` wakes the watchers of that table only."""
    database = databases.new(kind)
    await database.run("DEFINE TABLE note; DEFINE TABLE other")
    async with database.watch("note") as first, database.watch("note") as second, database.watch("other") as other:
        for watch in (first, second, other):
            await settled(watch)
        for _ in range(1000):
            database.touch("note")
        async with asyncio.timeout(TIMEOUT):
            await asyncio.gather(first.changed(), second.changed())
        assert await quiet(first)
        assert await quiet(other)
    database.touch("note")


@pytest.mark.parametrize("kind", EMBEDDED + SERVED)
async def test_a_database_knows_whether_a_table_may_be_watched(kind: str, databases: Databases) -> None:
    """A database of one process knows its watches; on a server, other processes may watch."""
    database = databases.new(kind)
    assert database.is_watched("note") == (kind in SERVED)
    async with database.watch("note"), database.watch("note"):
        assert database.is_watched("note")
        assert database.is_watched("other") == (kind in SERVED)
    assert database.is_watched("note") == (kind in SERVED)


@pytest.mark.parametrize("kind", SERVED)
async def test_changes_by_another_process_are_heard(kind: str, databases: Databases) -> None:
    """Watchers notice changes by other processes."""
    watching = databases.at(kind, "watched")
    writing = databases.at(kind, "watched")
    await writing.run("DEFINE TABLE OVERWRITE note; DELETE note")
    async with watching.watch("note") as watch:
        await settled(watch)
        for number in range(50):
            await writing.run("CREATE note SET n = $n", n=number)
        assert await seen(watching, watch, 50) == list(range(50))
        await settled(watch)
        await writing.run("DELETE note")
        async with asyncio.timeout(TIMEOUT):
            await watch.changed()


async def test_nothing_is_left_when_nobody_watches(databases: Databases) -> None:
    """The live query ends with its last watcher."""
    database = databases.new("ws")
    await database.run("DEFINE TABLE note")
    for _ in range(3):
        async with database.watch("note") as first:
            async with database.watch("note"):
                await settled(first)
            assert await count_live_queries(database) == 1
        await no_live_queries(database)
    async with database.watch("note"):
        pass
    await no_live_queries(database)


async def test_watcher_wakes_after_a_restart_of_the_server(databases: Databases) -> None:
    """A watcher wakes after a lost connection, and notices later changes."""
    database, server = databases.new("ws"), databases.server
    await database.run("DEFINE TABLE note")
    async with database.watch("note") as watch:
        await settled(watch)
        server.kill()
        server.start()
        await database.run("CREATE note SET n = 1")
        assert await seen(database, watch, 1) == [1]
        await settled(watch)
        await database.run("CREATE note SET n = 2")
        assert await seen(database, watch, 2) == [1, 2]


async def test_watching_begins_while_the_server_is_unavailable(databases: Databases) -> None:
    """Watching can begin while the server is unavailable."""
    database, server = databases.new("ws"), databases.server
    await database.run("DEFINE TABLE note")
    server.kill()
    async with database.watch("note") as watch:
        assert await quiet(watch)
        server.start()
        async with asyncio.timeout(TIMEOUT):
            await watch.changed()


async def test_table_that_is_not_there_yet_can_be_watched(databases: Databases) -> None:
    """A table can be watched before it exists."""
    database = databases.new("ws")
    async with database.watch("note") as watch:
        await database.run("DEFINE TABLE note; CREATE note SET n = 1")
        assert await seen(database, watch, 1) == [1]


async def test_dead_connection_is_noticed(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that no longer answers is detected and replaced."""
    monkeypatch.setattr(live_queries, "HEARTBEAT", 0.2)
    database, server = databases.new("ws"), databases.server
    await database.run("DEFINE TABLE note")
    async with database.watch("note") as watch:
        await settled(watch)
        server.freeze()
        try:
            await asyncio.sleep(database._watches._endpoint.statement_deadline + 0.5)  # type: ignore[attr-defined]
        finally:
            server.thaw()
        await settled(watch)
        await database.run("CREATE note SET n = 1")
        assert await seen(database, watch, 1) == [1]


async def test_close_ends_the_watching(databases: Databases) -> None:
    """Closing the database ends its watches, connections and tasks."""
    database = databases.new("ws")
    await database.run("DEFINE TABLE note")
    await database.close()
    before = asyncio.all_tasks()
    async with database.watch("note") as watch:
        async with asyncio.timeout(TIMEOUT):
            await watch.changed()
        await database.close()
        assert asyncio.all_tasks() == before
