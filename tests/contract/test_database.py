"""The database layer under faults, over each transport: concurrent calls, lost servers, wrong users, unusual names."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from surrealdb import RecordID

from holdfast.errors import StoreUnavailable, UsageError
from holdfast.storage.database import Database, SurrealDatabase, open_database, remote
from holdfast.storage.mirror import SurrealStore, open_store
from holdfast.storage.mirror.sample import SampleRun
from tests.support.databases import EMBEDDED, SERVED, Databases
from tests.support.surreal_server import PASSWORD, USERNAME, free_port

CONCURRENT_CALLS = 50
MAX_SECONDS = 10.5  # seconds within which every call ends, with what a busy machine adds
HOSTILE = [
    "a:b",
    "⟩",
    "⟨x⟩",
    "'",
    '"',
    "\\⟩",
    "`",
    "\\`",
    "😀",
    "x" * 1000,
    "a/b",
    "a\nb",
    "$row",
    "; REMOVE TABLE run",
    "{{record}}",
]


async def outcome(call: asyncio.Task[Any]) -> str:
    """What became of a call, in a word."""
    try:
        await call
    except StoreUnavailable:
        return "unavailable"
    return "answered"


async def outcomes(calls: list[asyncio.Task[Any]]) -> set[str]:
    async with asyncio.timeout(MAX_SECONDS):
        return set(await asyncio.gather(*(outcome(call) for call in calls)))


def concurrent_calls(database: Database) -> list[asyncio.Task[Any]]:
    return [asyncio.create_task(database.run("RETURN 1")) for _ in range(CONCURRENT_CALLS)]


@contextmanager
def counted_dials(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """When connections were dialled."""
    dials: list[float] = []
    for endpoint in (remote.WebsocketEndpoint, remote.HttpEndpoint):
        dial = endpoint.dial

        async def counting(self: Any, dial: Callable[[Any], Awaitable[Any]] = dial) -> Any:
            dials.append(time.monotonic())
            return await dial(self)

        monkeypatch.setattr(endpoint, "dial", counting)
    yield dials


@pytest.mark.parametrize("kind", SERVED)
async def test_several_statements_run_at_once(kind: str, databases: Databases) -> None:
    """Several statements run at once, so that a slow one does not block the others."""
    database = databases.new(kind)
    await asyncio.gather(*concurrent_calls(database))
    slow = [asyncio.create_task(database.run("RETURN sleep(2s)")) for _ in range(remote.MAX_CONNECTIONS - 1)]
    await asyncio.sleep(0)
    for number in range(20):
        assert await database.run("RETURN $number", number=number) == [number]
    assert not any(task.done() for task in slow)
    await asyncio.gather(*slow)


@pytest.mark.parametrize("kind", EMBEDDED)
async def test_one_statement_at_a_time_in_this_process(kind: str, databases: Databases) -> None:
    """The embedded engine gets one statement at a time, so that no update is lost."""
    database = databases.new(kind)
    await database.run("DEFINE TABLE counter")
    add = "UPSERT counter:a SET n = (n ?? 0) + 1"
    await asyncio.gather(*(database.run(add) for _ in range(200)))
    assert await database.run("RETURN counter:a.n") == [200]


async def test_connections_are_made_when_they_are_needed(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections are opened when they are needed and reused."""
    database = databases.new("ws")
    with counted_dials(monkeypatch) as dials:
        for _ in range(10):
            await database.run("RETURN 1")
        assert len(dials) == 1
        await asyncio.gather(*(database.run("RETURN sleep(50ms)") for _ in range(20)))
        assert len(dials) == remote.MAX_CONNECTIONS


@pytest.mark.parametrize("kind", SERVED)
async def test_concurrent_calls_share_attempts_to_connect(
    kind: str, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifty callers share few attempts to connect to a dead server, and all fail in time."""
    database = databases.new(kind)
    await asyncio.gather(*concurrent_calls(database))
    databases.server.kill()
    with counted_dials(monkeypatch) as dials:
        assert await outcomes(concurrent_calls(database)) == {"unavailable"}
        assert len(dials) == 1
        with pytest.raises(StoreUnavailable, match="cannot open"):
            await database.run("RETURN 1")
        assert len(dials) == 2
        databases.server.start()
        assert await outcomes(concurrent_calls(database)) == {"answered"}
        assert len(dials) <= 2 + remote.MAX_CONNECTIONS


@pytest.mark.parametrize("kind", SERVED)
async def test_concurrent_calls_fail_in_time_while_the_server_is_frozen(kind: str, databases: Databases) -> None:
    """Every caller fails within its own deadline while the server does not answer."""
    database = databases.new(kind)
    await asyncio.gather(*concurrent_calls(database))
    databases.server.freeze()
    try:
        assert await outcomes(concurrent_calls(database)) == {"unavailable"}
    finally:
        databases.server.thaw()
    assert await outcomes(concurrent_calls(database)) == {"answered"}


@pytest.mark.parametrize("kind", SERVED)
async def test_restart_is_not_noticed(kind: str, databases: Databases) -> None:
    """Calls succeed after a restart of the server, no matter which connections were open."""
    database = databases.new(kind)
    await asyncio.gather(*concurrent_calls(database))
    databases.server.kill()
    databases.server.start()
    assert await outcomes(concurrent_calls(database)) == {"answered"}


@pytest.mark.parametrize("kind", SERVED)
async def test_writers_lose_nothing_when_the_server_is_killed(kind: str, databases: Databases) -> None:
    """Twenty writers lose no acknowledged entry when the server is killed, and all complete."""
    store = SurrealStore(databases.new(kind))
    runs = [SampleRun(turns=8) for _ in range(20)]

    async def write(run: SampleRun) -> None:
        for first in range(0, len(run.entries), 3):
            while True:
                try:
                    assert (await store.append(run.batch(first, first + 3))).seq >= first
                    break
                except StoreUnavailable:
                    await asyncio.sleep(0.05)

    writers = asyncio.gather(*(write(run) for run in runs))
    for _ in range(2):
        await asyncio.sleep(0.3)
        databases.server.kill()
        databases.server.start()
    async with asyncio.timeout(60):
        await writers
    for run in runs:
        assert await store.entries(run.run_id) == run.entries
        assert await store.messages(run.run_id) == run.messages


async def test_token_that_has_expired_is_renewed(databases: Databases) -> None:
    """Over HTTP an expired token is renewed."""
    owner = databases.at("ws", "brief")
    await owner.run("DEFINE USER OVERWRITE brief ON DATABASE PASSWORD 'b' ROLES EDITOR DURATION FOR TOKEN 1s")
    brief = databases.at("http", "brief", user="brief", password="b")
    assert await brief.run("RETURN 1") == [1]
    await asyncio.sleep(2.1)  # the token's own second, and the next, by which clocks are rounded
    assert await brief.run("RETURN 2") == [2]


@pytest.mark.parametrize("kind", SERVED)
async def test_user_of_another_place_is_refused(kind: str, databases: Databases) -> None:
    """A user of another namespace or database is refused in words, and nothing is created."""
    owner = databases.at("ws", "home", namespace="here")
    await owner.run("DEFINE USER OVERWRITE local ON DATABASE PASSWORD 'l' ROLES EDITOR")
    await owner.run("DEFINE USER OVERWRITE regional ON NAMESPACE PASSWORD 'r' ROLES OWNER")
    for user, password in (("local", "l"), ("regional", "r")):
        at_home = databases.at(kind, "home", namespace="here", user=user, password=password)
        assert await at_home.run("RETURN [session::ns(), session::db()]") == [["here", "home"]]
    for name, namespace, user in (("away", "here", "local"), ("home", "there", "local"), ("home", "there", "regional")):
        lost = databases.at(kind, name, namespace=namespace, user=user, password=user[0])
        with pytest.raises(StoreUnavailable, match=f"denied access to user '{user}'.*'{namespace}'.*'{name}'"):
            await lost.open()
    [information] = await databases.at("ws", "home").run("INFO FOR ROOT")
    assert "there" not in information["namespaces"]


@pytest.mark.parametrize("kind", SERVED)
async def test_wrong_password_is_not_shown(kind: str, databases: Databases) -> None:
    """No refusal shows the password, in its text or in its cause."""
    database = databases.at(kind, "x", password="a secret")
    with pytest.raises(StoreUnavailable, match="denied access to user 'root'") as refusal:
        await database.open()
    error: BaseException | None = refusal.value
    while error is not None:
        assert "a secret" not in repr(error)
        assert "Bearer" not in repr(error)
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: ascii(name)[:12])
async def test_names_are_taken_as_they_are(name: str, databases: Databases) -> None:
    """Names of namespaces and databases are never interpreted, truncated or changed."""
    for kind in EMBEDDED[:1] + SERVED:
        if kind == "http" and not (name.isascii() and name.isprintable()):
            with pytest.raises(UsageError, match="cannot be sent over HTTP: use ws://"):
                databases.at(kind, name, namespace=name)
            continue
        database = databases.at(kind, name, namespace=name)
        assert await database.run("RETURN [session::ns(), session::db()]") == [[name, name]]
        assert await database.read("RETURN [session::ns(), session::db()]") == [[name, name]]


@pytest.mark.parametrize("kind", ["mem", "ws"])
async def test_ids_and_names_in_runs_are_taken_as_they_are(kind: str, databases: Databases) -> None:
    """Ids and names of runs, agents and tools are stored exactly and never interpreted."""
    database = databases.new(kind)
    store = SurrealStore(database)
    runs = [SampleRun(turns=2, run_id=name, text=name) for name in HOSTILE]
    for run in runs:
        batch = run.batch()
        summary = batch.summary.model_copy(update={"agent": run.run_id})
        assert await store.append(batch.model_copy(update={"summary": summary})) == run.head
    for run in runs:
        assert await store.entries(run.run_id) == run.entries
        assert await store.messages(run.run_id) == run.messages
        found = await store.summary(run.run_id)
        assert found is not None
        assert (found.run_id, found.agent) == (run.run_id, run.run_id)
        [tools] = await database.run("SELECT VALUE tool FROM tool_call:[$id, 0]..=[$id, ..]", id=run.run_id)
        assert set(tools) == {f"read {run.run_id}"}
        assert await database.run("SELECT VALUE agent FROM ONLY $run", run=RecordID("run", run.run_id)) == [run.run_id]
    await store.delete(HOSTILE[0])
    assert await database.run("RETURN count(SELECT 1 FROM run)") == [len(runs) - 1]


@pytest.mark.parametrize("scheme", ["ws", "http"])
async def test_address_is_taken_as_it_is(scheme: str, databases: Databases) -> None:
    """A URL with the RPC path, or with a trailing slash, works."""
    databases.new("ws")
    url = databases.server.url.replace("ws", scheme, 1)
    for end in ("/rpc", "/", "/rpc/"):
        store = open_store(url + end, username=USERNAME, password=PASSWORD)
        await store.open()
        await store.close()


@pytest.mark.parametrize("url", ["ws://rpc.example:8000/rpc", "http://rpc:80", "https://x/a", "ws://http"])
def test_hosts_are_not_mangled(url: str) -> None:
    """Any host name is passed on unchanged, also one that contains `/rpc`."""
    database = open_database(url)
    assert isinstance(database, SurrealDatabase)
    endpoint, parts = database._pool._endpoint, urlsplit(url)
    assert str(endpoint) == f"{parts.scheme}://{parts.netloc}"
    assert str(endpoint.websocket()) == f"{parts.scheme.replace('http', 'ws')}://{parts.netloc}"  # type: ignore[attr-defined]


@pytest.mark.parametrize("scheme", ["ws", "http"])
async def test_an_address_where_no_server_listens_is_named(scheme: str) -> None:
    """A wrong address fails with an error that names it."""
    url = f"{scheme}://127.0.0.1:{free_port()}"
    database = open_database(url)
    with pytest.raises(StoreUnavailable, match=f"cannot open {url}"):
        await database.open()
    with pytest.raises(StoreUnavailable):
        await database.read("RETURN 1")
    await database.close()


async def test_cancelled_caller_leaves_the_database_whole(databases: Databases) -> None:
    """After a cancelled call, later calls get their own answers."""
    database = databases.new("ws")
    await database.open()
    for _ in range(20):
        calls = concurrent_calls(database)
        await asyncio.sleep(0)
        for call in calls:
            call.cancel()
        await asyncio.wait(calls)
    assert await asyncio.gather(*(database.run("RETURN $n", n=n) for n in range(20))) == [[n] for n in range(20)]


async def test_close_twice_at_once_and_use_again(databases: Databases) -> None:
    """A database can be closed twice at once, and used again."""
    database = databases.new("ws")
    calls = concurrent_calls(database)
    await asyncio.sleep(0)
    async with asyncio.timeout(MAX_SECONDS):
        await asyncio.gather(database.close(), database.close())
    assert await outcomes(calls) == {"answered"}
    assert await database.run("RETURN 1") == [1]
