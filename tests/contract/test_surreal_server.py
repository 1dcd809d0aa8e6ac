"""SurrealDB on a server: calls end in time, and the store recovers as soon as the server does."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from surrealdb import AsyncWsSurrealConnection

from holdfast.errors import StoreUnavailable
from holdfast.ports import Store
from holdfast.storage.mirror import open_store
from holdfast.storage.mirror.sample import SampleRun
from tests.support.surreal_server import PASSWORD, USERNAME, SurrealServer

PROMISE = 10.5  # seconds within which every call ends, with what a busy machine adds

TORN = {"header": bytes(3), "record": bytes(4) + (100).to_bytes(2, "big") + b"\x01" + bytes(50)}
"""What may be left of a record whose writing was interrupted: a checksum, a length and a type, then data."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SurrealServer]:
    with SurrealServer.find(tmp_path_factory.mktemp("surreal")) as server:
        yield server


@pytest.fixture
def server(running: SurrealServer) -> SurrealServer:
    """The module's server, running, though the test before has killed it."""
    if not running.is_running:
        running.start()
    return running


@pytest.fixture
def database() -> str:
    return f"test_{uuid.uuid4().hex}"


def connect(server: SurrealServer, database: str, username: str | None = USERNAME, password: str = PASSWORD) -> Store:
    return open_store(server.url, database=database, username=username, password=password)


@pytest.fixture
async def store(server: SurrealServer, database: str) -> AsyncIterator[Store]:
    store = connect(server, database)
    yield store
    await store.close()


async def administer(server: SurrealServer, database: str, statement: str) -> Any:
    async with AsyncWsSurrealConnection(server.url) as client:
        await client.signin({"username": USERNAME, "password": PASSWORD})
        await client.use("sentient_core", database)
        return await client.query(statement)


async def test_killed_server_is_reported_and_overcome(server: SurrealServer, store: Store) -> None:
    """Calls fail with a clear error while the server is down, and succeed when it returns."""
    run = SampleRun(turns=40)
    acked = 0
    for first in range(0, len(run.entries) // 2, 3):
        acked = (await store.append(run.batch(first, first + 3))).seq
    writes = asyncio.create_task(write_on(store, run, acked + 1))
    await asyncio.sleep(0)
    server.kill()
    with pytest.raises(StoreUnavailable):
        await asyncio.wait_for(writes, PROMISE)
    with pytest.raises(StoreUnavailable, match=server.url):
        await asyncio.wait_for(store.head(run.run_id), PROMISE)
    server.start()
    head = await store.head(run.run_id)
    assert head is not None
    assert head.seq >= acked
    await write_on(store, run, head.seq + 1)
    assert await store.entries(run.run_id) == run.entries


async def write_on(store: Store, run: SampleRun, first: int) -> None:
    while first < len(run.entries):
        await store.append(run.batch(first, first + 3))
        first += 3


async def test_restart_between_two_calls_is_not_noticed(server: SurrealServer, store: Store) -> None:
    """The first call after a restart of the server succeeds."""
    run = SampleRun(turns=2)
    await store.append(run.batch(0, 3))
    server.kill()
    server.start()
    assert await store.append(run.batch(3)) == run.head
    assert await store.entries(run.run_id) == run.entries


@pytest.mark.parametrize("rest", TORN.values(), ids=TORN.keys())
async def test_what_follows_a_torn_log_survives_the_next_kill(rest: bytes, tmp_path: Path) -> None:
    """A kill that tore the server's log costs nothing, not even at the next kill, if a clean end comes in between."""
    run = SampleRun(turns=4)
    with SurrealServer.find(tmp_path) as server:
        store = open_store(server.url, username=USERNAME, password=PASSWORD)
        await store.append(run.batch(0, 3))
        server.kill()
        server.tear_log(rest)
        server.start()
        await store.append(run.batch(3, 9))
        server.kill()
        server.start()
        await store.append(run.batch(9))
        assert await store.entries(run.run_id) == run.entries
        await store.close()


async def test_frozen_server_delays_callers_only_briefly(server: SurrealServer, store: Store) -> None:
    """Calls to a server that does not answer fail in bounded time, queued ones too."""
    run = SampleRun(turns=2)
    await store.append(run.batch(0, 3))
    server.freeze()
    started = time.monotonic()
    try:
        calls = [store.append(run.batch(3)), *(store.head(run.run_id) for _ in range(5))]
        answers = await asyncio.gather(*calls, return_exceptions=True)
    finally:
        server.thaw()
    assert time.monotonic() - started < PROMISE
    assert [type(answer) for answer in answers] == [StoreUnavailable] * 6
    assert await store.append(run.batch(3)) == run.head
    assert await store.entries(run.run_id) == run.entries


@pytest.mark.parametrize(
    ("username", "password", "words"),
    [(USERNAME, "a secret", "denied access to user 'root'"), (None, "", "Anonymous access not allowed")],
    ids=["wrong password", "no user"],
)
async def test_wrong_credentials_are_reported(
    server: SurrealServer, database: str, username: str | None, password: str, words: str
) -> None:
    """Wrong credentials are reported without showing the password."""
    store = connect(server, database, username, password)
    with pytest.raises(StoreUnavailable, match=words) as refusal:
        await store.open()
    assert "a secret" not in str(refusal.value)
    await store.close()


async def test_user_who_may_only_read(server: SurrealServer, store: Store, database: str) -> None:
    """A write that the server ignores for lack of rights raises an error."""
    run = SampleRun(turns=1)
    await store.append(run.batch(0, 2))
    await administer(server, database, "DEFINE USER reader ON DATABASE PASSWORD 'r' ROLES VIEWER")
    reader = connect(server, database, "reader", "r")
    assert await reader.entries(run.run_id) == run.entries[:2]
    with pytest.raises(StoreUnavailable, match="check that its user may write"):
        await reader.append(run.batch(2))
    await reader.close()
    assert await store.head(run.run_id) == run.entries[1].ref


async def test_session_that_has_expired_is_renewed(server: SurrealServer, store: Store, database: str) -> None:
    """An expired session is renewed."""
    await store.open()
    statement = "DEFINE USER brief ON DATABASE PASSWORD 'b' ROLES EDITOR DURATION FOR SESSION 1s"
    await administer(server, database, statement)
    brief, run = connect(server, database, "brief", "b"), SampleRun(turns=1)
    await brief.append(run.batch(0, 2))
    await asyncio.sleep(1.5)  # the session's own second, and some
    assert await brief.append(run.batch(2)) == run.head
    await brief.close()


async def test_workers_that_write_one_run_agree(server: SurrealServer, database: str) -> None:
    """Two workers that write one run at once leave one consistent mirror."""
    stores, run = [connect(server, database) for _ in range(3)], SampleRun(turns=10)
    for first in range(0, 18, 3):
        await stores[first % 2].append(run.batch(first, first + 3))
    for first in range(18, len(run.entries), 3):
        batch = run.batch(first, first + 3)
        heads = await asyncio.gather(*(store.append(batch) for store in stores))
        assert heads == [batch.entries[-1].ref] * len(stores)
    for store in stores:
        assert await store.entries(run.run_id) == run.entries
        await store.close()


async def test_close_ends_while_the_server_is_frozen(server: SurrealServer, database: str) -> None:
    """Closing completes while the server does not answer."""
    store, run = connect(server, database), SampleRun(turns=1)
    await store.open()
    server.freeze()
    try:
        call = asyncio.create_task(store.append(run.batch()))
        await asyncio.sleep(0)
        await asyncio.wait_for(store.close(), PROMISE)
        with pytest.raises(StoreUnavailable, match=r"did not (finish a statement|answer)"):
            await call
    finally:
        server.thaw()


@asynccontextmanager
async def far_away(server: SurrealServer, seconds: float) -> AsyncIterator[str]:
    """The address of the server over a line on which each answer is late."""
    port = int(server.url.rpartition(":")[2])

    ended = list[asyncio.Task[None]]()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
        try:
            while data := await reader.read(2**16):
                await asyncio.sleep(delay)
                writer.write(data)
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        ended.append(asyncio.create_task(forward(reader, back, 0)))
        ended.append(asyncio.create_task(forward(there, writer, seconds)))

    async with await asyncio.start_server(connect, "127.0.0.1", 0) as line:
        yield "ws://{}:{}".format(*line.sockets[0].getsockname()[:2])
    await asyncio.wait(ended)


async def test_a_server_that_is_far_away_is_slow_and_works(server: SurrealServer, store: Store, database: str) -> None:
    """A deadline is for one answer, so that a second for each does not add up to a refusal to open."""
    await store.open()
    async with far_away(server, seconds=1.0) as url:
        far = open_store(url, database=database, username=USERNAME, password=PASSWORD)
        run = SampleRun(turns=1)
        assert await far.append(run.batch()) == run.head
        await far.close()
