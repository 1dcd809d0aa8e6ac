"""Faults of the store: if it crashes, hangs, is full or denies access, runs complete and the mirror catches up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from holdfast.stack.worker import identity
from holdfast.storage.database import Database, open_database
from holdfast.storage.database.migrate import MIGRATIONS, Schema
from holdfast.storage.database.pool import Pool
from holdfast.storage.database.remote import Login, WebsocketEndpoint
from holdfast.workflows.options import STORE_TIMEOUT
from tests.support.concurrent_runs import ALL_AT_ONCE, RUNS, ConcurrentRuns, served_by
from tests.support.processes import Site
from tests.support.small_disk import small_disk
from tests.support.surreal_server import PASSWORD, USERNAME, SurrealServer
from tests.support.tiers import scaled

DISK = 24  # megabytes
KILLS = scaled(1, 2)
FROZEN_FOR = STORE_TIMEOUT.total_seconds() + 1  # seconds: longer than any deadline of a write to the mirror
BEHIND = "the mirror lags, will retry"
LOGIN = {"username": USERNAME, "password": PASSWORD}


@pytest.fixture
def surreal(tmp_path: Path) -> Iterator[SurrealServer]:
    """A SurrealDB server of the test's own, running."""
    folder = tmp_path / "surreal"
    folder.mkdir()
    with SurrealServer.find(folder) as surreal:
        yield surreal


async def test_the_server_is_killed_under_many_runs(site: Site, surreal: SurrealServer) -> None:
    """Runs continue while the database is down, and it returns with everything that it had acknowledged."""
    worker = await site.worker(**served_by(surreal))
    runs = await ConcurrentRuns.start(site)
    for _ in range(KILLS):
        await runs.advance(RUNS // 2)
        surreal.kill()
        await runs.advance(RUNS)
        await asyncio.to_thread(surreal.start)
    await runs.end_well()
    assert BEHIND in worker.output
    await runs.assert_mirrored(surreal.url, **LOGIN)


@pytest.mark.slow
async def test_the_server_hangs_under_many_runs(site: Site, surreal: SurrealServer) -> None:
    """Runs continue while the database does not answer; writes that it completes late do no harm."""
    worker = await site.worker(**served_by(surreal))
    runs = await ConcurrentRuns.start(site)
    await runs.advance(RUNS)
    surreal.freeze()
    frozen_at = time.monotonic()
    await runs.end_well()
    assert BEHIND in worker.output
    await asyncio.sleep(frozen_at + FROZEN_FOR - time.monotonic())
    surreal.thaw()
    await runs.assert_mirrored(surreal.url, **LOGIN)


async def test_the_server_is_restarted_under_two_workers(site: Site, surreal: SurrealServer) -> None:
    """The database can be upgraded and restarted under two workers without losing a run or an entry."""
    await _make_old(surreal)
    workers = await asyncio.gather(*(site.worker(**served_by(surreal)) for _ in range(2)))
    runs = await ConcurrentRuns.start(site)
    await runs.advance(RUNS)
    await asyncio.to_thread(surreal.stop)
    await runs.advance(RUNS)
    await asyncio.to_thread(surreal.start)
    await runs.end_well()
    await runs.assert_mirrored(surreal.url, **LOGIN)
    assert await runs.writers() == {identity(worker.pid) for worker in workers}


async def _make_old(surreal: SurrealServer) -> None:
    """Has the server's database as the first version left it."""
    login = Login("sentient_core", "agents", USERNAME, PASSWORD)
    old = Pool(WebsocketEndpoint(surreal.url, login), Schema(MIGRATIONS[:1]))
    await old.open()
    await old.close()


async def test_the_disk_of_the_embedded_database_is_full(site: Site, tmp_path: Path) -> None:
    """Runs complete while the disk of the database and the log is full; the database catches up when there is room."""
    with small_disk(tmp_path / "disk", DISK) as disk:
        url = f"surrealkv://{disk.folder}/mirror"
        site.logs = disk.folder
        worker = await site.worker(**ALL_AT_ONCE, SURREALDB_URL=url)
        runs = await ConcurrentRuns.start(site)
        await runs.advance(RUNS)
        disk.fill()
        await runs.end_well()
        assert await runs.lag() > 0
        disk.free()
        await runs.assert_mirrored(url)
        assert await worker.stop() == 0
        await site.worker(SURREALDB_URL=url)  # a torn write would be detected when the files are opened again
        await runs.assert_mirrored(url)


@pytest.mark.slow
async def test_the_disk_of_the_server_is_full(site: Site, tmp_path: Path) -> None:
    """Runs complete while the server's disk is full; its database catches up when there is room."""
    with small_disk(tmp_path / "disk", DISK) as disk, SurrealServer.find(disk.folder) as surreal:
        worker = await site.worker(**served_by(surreal))
        runs = await ConcurrentRuns.start(site)
        await runs.advance(RUNS)
        disk.fill()
        await runs.end_well()
        assert BEHIND in worker.output
        assert await runs.lag() > 0
        disk.free()
        await runs.assert_mirrored(surreal.url, **LOGIN)
        assert await worker.stop() == 0


@dataclass(frozen=True)
class Misfit:
    """A database that denies a worker access until an administrator corrects it."""

    name: str
    settings: dict[str, str]
    """Settings of the worker, in addition to the server's address."""
    words: str
    """Words that the log must contain."""
    before: str
    """The administrator's statements before the worker starts."""
    after: str = ""
    """The statements that correct it; empty if other settings do."""
    namespace: str = "sentient_core"
    """The namespace of these statements."""
    restart_with: dict[str, str] | None = None
    """Changed settings of the worker that is then started; `None` means that the running one recovers by itself."""


MISFITS = [
    Misfit(
        "wrong password",
        {"SURREALDB_USERNAME": "clerk", "SURREALDB_PASSWORD": "mistyped"},
        "check SURREALDB_USERNAME and SURREALDB_PASSWORD",
        before="DEFINE USER clerk ON ROOT PASSWORD 'right' ROLES EDITOR",
        after="DEFINE USER OVERWRITE clerk ON ROOT PASSWORD 'mistyped' ROLES EDITOR",
    ),
    Misfit(
        "wrong namespace",
        {"SURREALDB_NAMESPACE": "theirs", "SURREALDB_USERNAME": "tenant", "SURREALDB_PASSWORD": "right"},
        "that the user belongs to namespace 'theirs'",
        before="DEFINE USER tenant ON NAMESPACE PASSWORD 'right' ROLES EDITOR",
        namespace="ours",
        restart_with={"SURREALDB_NAMESPACE": "ours"},
    ),
    Misfit(
        "may not write",
        {"SURREALDB_NAMESPACE": "looked_at", "SURREALDB_USERNAME": "viewer", "SURREALDB_PASSWORD": "right"},
        "check that its user may write",
        before="DEFINE USER viewer ON NAMESPACE PASSWORD 'right' ROLES VIEWER",
        after="DEFINE USER OVERWRITE viewer ON NAMESPACE PASSWORD 'right' ROLES EDITOR",
        namespace="looked_at",
        restart_with={},  # the server let us in, and a session keeps the rights that its user had then
    ),
    Misfit(
        "a schema of a newer version",
        {"SURREALDB_NAMESPACE": "newer"},
        "Update Holdfast, or use another database",
        before="UPDATE schema_version SET old = [version, readers], version = 9999, readers = 9999",
        after="UPDATE schema_version SET version = old[0], readers = old[1]",
        namespace="newer",
    ),
]


async def test_a_database_that_does_not_let_us_in(
    temporal_address: str, tmp_path: Path, surreal: SurrealServer
) -> None:
    """Runs complete while the database refuses the worker; the log names the setting that is wrong."""
    async with asyncio.TaskGroup() as group:
        for misfit in scaled(MISFITS[::3], MISFITS):
            group.create_task(_misfit(misfit, temporal_address, tmp_path, surreal))


async def _misfit(misfit: Misfit, address: str, folder: Path, surreal: SurrealServer) -> None:
    own = folder / misfit.name
    own.mkdir()
    async with _administrator(surreal, misfit) as administrator, Site.open(address, own) as site:
        await administrator.run(misfit.before)
        worker = await site.worker(**served_by(surreal, **misfit.settings))
        runs = await ConcurrentRuns.start(site, runs=1)
        await runs.end_well()
        assert misfit.words in worker.output, misfit.name
        if misfit.after:
            await administrator.run(misfit.after)
        if misfit.restart_with is not None:
            assert await worker.stop() == 0
            await site.worker(**served_by(surreal, **{**misfit.settings, **misfit.restart_with}))
        await runs.assert_mirrored(surreal.url, namespace=misfit.namespace, **LOGIN)


@asynccontextmanager
async def _administrator(surreal: SurrealServer, misfit: Misfit) -> AsyncIterator[Database]:
    database = open_database(surreal.url, namespace=misfit.namespace, username=USERNAME, password=PASSWORD)
    try:
        yield database
    finally:
        await database.close()
