"""A database in a thread, for programs with several or blocked event loops, or that never close anything."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.composition.persistence import close_shared_persistence, shared_persistence
from holdfast.errors import SettingsError
from holdfast.storage.database import Database, StatementFailed, open_database
from holdfast.storage.database.background import BackgroundDatabase
from tests.support.tiers import patience

ROOT = Path(__file__).parents[2]
TIMEOUT = patience(30.0)  # seconds; reached only when a test fails
PROGRAM = """
import asyncio
from holdfast.composition.persistence import close_shared_persistence, shared_persistence

async def count() -> None:
    database = shared_persistence().database
    [n] = await database.run("RETURN (UPSERT ONLY counter:one SET n = (n ?? 0) + 1).n")
    print(n, flush=True)

asyncio.run(count())
asyncio.run(count())
loop = asyncio.new_event_loop()
loop.run_until_complete(count())
"""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[BackgroundDatabase]:
    database = BackgroundDatabase(lambda: open_database(f"surrealkv://{tmp_path}/data", shared=True))
    yield database
    asyncio.run(database.close())


def test_loops_one_after_the_other_and_side_by_side(database: BackgroundDatabase) -> None:
    """Several event loops, one after the other or at once, use the same database."""

    async def add() -> None:
        await database.run("UPSERT counter:one SET n = (n ?? 0) + 1")

    asyncio.run(add())
    asyncio.run(add())
    threads = [threading.Thread(target=lambda: asyncio.run(add())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asyncio.run(database.read("RETURN counter:one.n")) == [10]


async def test_others_are_served_while_its_own_loop_is_busy(database: BackgroundDatabase, tmp_path: Path) -> None:
    """Other processes are served while the owner's event loop is blocked."""
    assert isinstance(database, Database)
    await database.open()
    done = threading.Event()

    async def elsewhere() -> None:
        other = open_database(f"surrealkv://{tmp_path}/data", shared=True)
        assert await other.run("RETURN 1") == [1]
        await other.close()
        done.set()

    thread = threading.Thread(target=lambda: asyncio.run(elsewhere()))
    thread.start()
    assert done.wait(TIMEOUT), "it waited for the loop that is blocked here"
    thread.join()


async def test_errors_cancels_and_changes_cross_the_threads(database: BackgroundDatabase) -> None:
    """Errors keep their types, and cancellations and change notices arrive, across threads."""
    with pytest.raises(StatementFailed, match="no"):
        await database.run("THROW 'no'")
    slow = asyncio.create_task(database.run("SLEEP 200ms"))
    await asyncio.sleep(0)
    slow.cancel()
    with pytest.raises(asyncio.CancelledError):
        await slow
    async with asyncio.timeout(TIMEOUT), database.watch("row") as watch:
        await watch.changed()
        database.touch("row")
        await watch.changed()
    await database.close()
    await database.close()
    assert await database.run("RETURN 1") == [1]


async def test_a_database_that_cannot_be_made_is_an_error() -> None:
    """What goes wrong when the database is made is raised by each call, and none of them hangs."""

    def make() -> Database:
        raise SettingsError("no such engine")

    database = BackgroundDatabase(make)
    for _ in range(2):
        with pytest.raises(SettingsError, match="no such engine"):
            await database.run("RETURN 1")
    await database.close()


def test_program_that_closes_nothing_ends_in_order(tmp_path: Path) -> None:
    """A program that closes nothing exits cleanly and leaves a clean database."""
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"HOLDFAST_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=TIMEOUT,
    )  # fmt: skip
    assert (done.returncode, done.stdout.split()) == (0, ["1", "2", "3"]), done.stderr
    assert (tmp_path / "surrealdb.lock").read_text() == "", "it was not closed"
    assert time.monotonic() - begin < TIMEOUT


async def test_settings_are_read_when_they_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings are read at first use, and an invalid one is reported then."""
    monkeypatch.setenv("SURREALDB_URL", "mysql://x")
    with pytest.raises(SettingsError, match=r"SURREALDB_URL.*mysql"):
        shared_persistence()
    monkeypatch.setenv("SURREALDB_URL", "mem://")
    first = shared_persistence()
    assert shared_persistence() is first
    assert first.database is not None
    await first.database.run("CREATE row:1")
    assert await asyncio.to_thread(lambda: asyncio.run(_rows(first.database))) == [1]
    await close_shared_persistence()
    monkeypatch.setenv("STATE_PERSISTENCE_BACKEND", "memory")
    assert shared_persistence().database is None
    await close_shared_persistence()


async def _rows(database: Database | None) -> list[int]:
    assert database is not None
    return await database.run("RETURN count(SELECT 1 FROM row)")
