"""Embedded SurrealDB: acknowledged writes survive, and one process at a time owns the files."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from surrealdb import AsyncEmbeddedSurrealConnection, RecordID

from holdfast.errors import StoreLocked, StoreUnavailable, TranscriptUnavailable
from holdfast.storage.database.migrate import MIGRATIONS
from holdfast.storage.mirror import open_store
from holdfast.storage.mirror.sample import SampleRun
from holdfast.types import Entry, RunStatus
from tests.support.tiers import patience

ROOT = Path(__file__).parents[2]
ACKS = 60  # batches before the kill: enough for several segments of work, still a second
TABLES = ("event", "message", "tool_call", "run")
TEARS = 12  # places where a write is torn; each falls into another statement or row
PROCESS_TIMEOUT = patience(60)  # seconds; a process takes one or two


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"surrealkv://{tmp_path}/data"


@contextmanager
def started(mode: str, url: str) -> Iterator[subprocess.Popen[str]]:
    """A process that uses the database; it is killed at the end."""
    command = [sys.executable, "-m", "tests.support.store_writer", mode, url]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def finish(mode: str, url: str) -> str:
    with started(mode, url) as process:
        output, _ = process.communicate(timeout=PROCESS_TIMEOUT)
    assert process.returncode == 0, output
    return output


@asynccontextmanager
async def database(url: str) -> AsyncIterator[AsyncEmbeddedSurrealConnection]:
    """Opens the database directly; no store may have it open."""
    client = AsyncEmbeddedSurrealConnection(url)
    await client.connect()
    await client.use("sentient_core", "agents")
    try:
        yield client
    finally:
        await client.close()


async def rows(url: str, statement: str, **values: Any) -> Any:
    async with database(url) as client:
        return await client.query(statement, values)


async def test_kill_loses_nothing_that_was_acknowledged(url: str) -> None:
    """`kill -9` loses no acknowledged entry and leaves no torn batch and no lock."""
    with started("write_until_killed", url) as process:
        assert process.stdout is not None
        acks = list(itertools.islice(process.stdout, ACKS))
        process.kill()
        acks += [line for line in process.stdout if line.endswith("\n")]
    store = open_store(url)
    found = await store.entries("killed", limit=100_000)
    head = await store.head("killed")
    assert head == found[-1].ref
    digests = {entry.seq: entry.digest for entry in found}
    for ack in acks:
        seq, digest = ack.split()
        assert digests.get(int(seq)) == digest
    assert len((await store.context("killed", head)).messages) == len(await store.messages("killed", limit=100_000))
    await store.close()


async def test_engine_is_told_to_sync(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By default every acknowledged entry is synced to disk."""
    monkeypatch.delenv("SURREAL_SYNC_DATA", raising=False)
    store = open_store(url)
    await store.open()
    await store.close()
    assert os.environ["SURREAL_SYNC_DATA"] == "true"


async def test_second_process_is_refused_and_gets_in_later(url: str) -> None:
    """A second process is refused, and succeeds without a restart once the first has closed."""
    store = open_store(url)
    with started("hold", url) as holder:
        assert holder.stdout is not None
        pid = int(holder.stdout.readline())
        with pytest.raises(StoreLocked, match=f"process {pid}") as refusal:
            await store.open()
        assert "data.lock" in str(refusal.value)
        holder.kill()
    await store.open()
    await store.close()


async def test_close_lets_another_store_in(url: str) -> None:
    """A closed store releases the lock."""
    first, second = open_store(url), open_store(url)
    await first.open()
    with pytest.raises(StoreLocked):
        await second.open()
    await first.close()
    await second.open()
    await second.close()


async def test_place_that_cannot_be_opened_works_once_it_can(tmp_path: Path) -> None:
    """A store that could not be opened works as soon as its folder does."""
    (tmp_path / "data").write_text("not a folder")
    store = open_store(f"surrealkv://{tmp_path}/data")
    with pytest.raises(StoreUnavailable, match="cannot open surrealkv://"):
        await store.open()
    (tmp_path / "data").unlink()
    run = SampleRun(turns=1)
    assert await store.append(run.batch()) == run.head
    await store.close()


def test_full_disk_is_reported_and_overcome(url: str) -> None:
    """Writes to a full disk fail, and succeed again when there is room."""
    output = finish("fill_the_disk", url)
    assert "refused:" in output
    assert "too large" in output
    assert output.endswith("whole\n")
    assert "not whole" not in output


@pytest.mark.parametrize("differs_from", [None, 4], ids=["append", "rewrite"])
async def test_torn_write_is_mended(tmp_path: Path, differs_from: int | None) -> None:
    """A transaction that a power cut left half written is detected and repaired."""
    run = SampleRun(turns=4)
    before = SampleRun(turns=4, run_id=run.run_id, started_at=run.started_at, differs_from=differs_from)
    url = f"surrealkv://{tmp_path}/whole"
    store = open_store(url)
    await store.append(before.batch(0, 5 if differs_from is None else None))
    begin = log_of(tmp_path / "whole").stat().st_size
    await store.append(run.batch(3, 9))
    await store.close()
    end = log_of(tmp_path / "whole").stat().st_size
    expected = [await rows(url, f"SELECT * FROM {table}") for table in TABLES]
    for tear in range(begin, end, (end - begin) // TEARS):
        torn = torn_copy(tmp_path, tear)
        store = open_store(torn)
        assert await store.append(run.batch(3, 9)) == run.entries[8].ref
        assert await store.entries(run.run_id) == run.entries[:9]
        await store.close()
        assert [await rows(torn, f"SELECT * FROM {table}") for table in TABLES] == expected


async def test_torn_deletion_leaves_nothing_to_the_next_run(tmp_path: Path) -> None:
    """A run under the id of one whose deletion a power cut interrupted has its own rows alone."""
    store, old = open_store(f"surrealkv://{tmp_path}/whole"), SampleRun(turns=4)
    await store.append(old.batch())
    await store.close()
    begin = log_of(tmp_path / "whole").stat().st_size
    store = open_store(f"surrealkv://{tmp_path}/whole")
    await store.delete(old.run_id)
    await store.close()
    new = SampleRun(turns=1, run_id=old.run_id, chain="another")
    store = open_store(f"surrealkv://{tmp_path}/new")
    await store.append(new.batch())
    await store.close()
    expected = [await rows(f"surrealkv://{tmp_path}/new", f"SELECT * FROM {table}") for table in TABLES]
    end = log_of(tmp_path / "whole").stat().st_size
    for tear in range(begin, end, (end - begin) // TEARS):
        torn = torn_copy(tmp_path, tear)
        store = open_store(torn)
        await store.append(new.batch())
        await store.close()
        assert [await rows(torn, f"SELECT * FROM {table}") for table in TABLES] == expected


async def test_torn_schema_is_mended(tmp_path: Path) -> None:
    """A migration that a power cut left half done is completed at the next opening."""
    store = open_store(f"surrealkv://{tmp_path}/whole")
    await store.open()
    await store.close()
    run, end = SampleRun(turns=1), log_of(tmp_path / "whole").stat().st_size
    expected = await rows(f"surrealkv://{tmp_path}/whole", "INFO FOR TABLE run")
    for tear in range(end // TEARS, end, end // TEARS):
        torn = torn_copy(tmp_path, tear)
        store = open_store(torn)
        assert await store.append(run.batch()) == run.head
        await store.close()
        assert await rows(torn, "INFO FOR TABLE run") == expected
        assert await rows(torn, "SELECT VALUE version FROM schema_version") == [len(MIGRATIONS)]


@pytest.mark.parametrize("left", [1, 2, 3, 4, 40])
async def test_rest_of_a_torn_record_swallows_nothing(tmp_path: Path, left: int) -> None:
    """Entries acknowledged after a power cut survive the next opening."""
    store, run = open_store(f"surrealkv://{tmp_path}/whole"), SampleRun(turns=2)
    await store.append(run.batch(0, 3))
    end = log_of(tmp_path / "whole").stat().st_size
    await store.append(run.batch(3, 6))
    await store.close()
    store = open_store(torn_copy(tmp_path, end + left))
    await store.append(run.batch(3))
    await store.close()
    assert await store.entries(run.run_id) == run.entries
    await store.close()


def torn_copy(folder: Path, size: int) -> str:
    """Copies the database `whole` as after a power failure at `size` bytes of its log; returns the URL."""
    copy = folder / f"torn-{size}"
    shutil.copytree(folder / "whole", copy)
    os.truncate(log_of(copy), size)
    copy.with_name(f"{copy.name}.lock").write_text("12345\n")  # of a process that is gone
    return f"surrealkv://{copy}"


def log_of(database: Path) -> Path:
    """The engine's one log file."""
    [log] = (database / "clog").iterdir()
    return log


def test_close_waits_for_what_is_in_flight(url: str) -> None:
    """Closing waits for statements in flight."""
    assert finish("close_under_load", url) == "closed\n"


async def test_failure_surfaces_and_leaves_no_half(url: str) -> None:
    """A statement that fails raises an error and undoes its whole transaction."""
    store, run = open_store(url), SampleRun(turns=2)
    await store.append(run.batch(0, 2))
    await store.close()
    await rows(url, "DEFINE FIELD OVERWRITE role ON message TYPE 'nobody'")
    with pytest.raises(StoreUnavailable, match="role"):
        await store.append(run.batch(2))
    assert await store.entries(run.run_id) == run.entries[:2]
    assert await store.head(run.run_id) == run.entries[1].ref
    await store.close()
    await rows(url, "DEFINE FIELD OVERWRITE role ON message TYPE string")
    assert await store.append(run.batch(2)) == run.head
    await store.close()


async def test_entries_project_to_rows_that_can_be_queried(url: str) -> None:
    """Each entry is projected to rows with complete and current columns."""
    store = open_store(url)
    run = SampleRun(turns=2, text="a\0b", status=RunStatus.COMPLETED)
    for first in range(0, len(run.entries), 2):
        await store.append(run.batch(first, first + 2))
    await store.close()

    [row] = await rows(url, "SELECT * FROM run WHERE agent = 'sample' AND status = 'completed'")
    assert row["id"] == RecordID("run", run.run_id)
    assert (row["turn"], row["head"], row["digest"]) == (2, run.head.seq, run.head.digest)
    assert row["started_at"] == row["finished_at"] == run.started_at
    assert (row["input"], row["parent"].table_name) == ("a\ufffdb", "run")

    found = await rows(url, "SELECT id[1] AS seq, role, content, tools, turn, entry.kind AS kind FROM message")
    assert [(row["seq"], row["role"]) for row in found] == [(message.seq, message.role) for message in run.messages]
    assert {row["content"] for row in found} == {"a\ufffdb"}
    assert [row["tools"] for row in found[:3]] == [[], ["read a\ufffdb"], ["read a\ufffdb"]]
    assert [row["kind"] for row in found[:3]] == ["message", "message", "tool_result"]

    first, second = await rows(url, "SELECT *, result.content AS answer, run.agent AS agent FROM tool_call")
    assert first["id"] == RecordID("tool_call", [run.run_id, 1, "call 1 a\ufffdb"])
    assert (first["tool"], first["arguments"], first["seconds"]) == ("read a\ufffdb", "a\ufffdb", 0.25)
    assert (first["asked"], first["answered"]) == (2, 3)
    assert (first["answer"], first.get("error")) == ("a\ufffdb", None)
    assert (second["answer"], second.get("error")) == ("a\ufffdb", "a\ufffdb")
    assert (first["agent"], first["turn"], second["turn"]) == ("sample", 1, 2)


async def test_rewrite_leaves_no_row_of_what_was(url: str) -> None:
    """A rewrite removes every row of the past that it replaces."""
    store, wrong = open_store(url), SampleRun(turns=4)
    await store.append(wrong.batch())
    called = wrong.entries[2]  # the mirror has its result, which never was
    other_end = Entry.chained(called.digest, seq=3, at=called.at, kind="status", turn=1, data={"status": "cancelled"})
    right = wrong.batch(2, 3)
    await store.append(right.model_copy(update={"entries": [called, other_end]}))
    await store.close()
    counts = "RETURN [count(SELECT 1 FROM event), count(SELECT 1 FROM message), count(SELECT 1 FROM tool_call)]"
    assert await rows(url, counts) == [4, 2, 1]
    [call] = await rows(url, "SELECT * FROM tool_call")
    assert "result" not in call
    assert "answered" not in call

    other = SampleRun(turns=1)
    newer = SampleRun(turns=1, chain="2", run_id=wrong.run_id, started_at=wrong.started_at + timedelta(seconds=1))
    await store.append(other.batch())
    await store.append(newer.batch(0, 1))
    await store.close()
    assert await rows(url, counts) == [1 + len(other.entries), len(other.messages), 1]


async def test_row_of_the_run_never_goes_back(url: str) -> None:
    """A late retry never restores an older status."""
    store, run = open_store(url), SampleRun(turns=3)
    await store.append(run.batch(0, 4))
    await store.append(run.batch(4))
    await store.append(run.batch(0, 4))
    await store.close()
    [row] = await rows(url, "SELECT head, turn FROM run")
    assert row == {"head": run.head.seq, "turn": 3}


async def test_lost_row_is_noticed_and_mended(url: str) -> None:
    """A lost row is detected before a model call, and restored."""
    store, run = open_store(url), SampleRun(turns=3)
    await store.append(run.batch())
    await store.close()
    await rows(url, "DELETE $row", row=RecordID("event", [run.run_id, 4]))
    with pytest.raises(TranscriptUnavailable, match="has 10 of 11 entries"):
        await store.context(run.run_id, run.head)
    await store.append(run.batch(0, 3))
    await store.append(run.batch(3))
    assert (await store.context(run.run_id, run.head)).messages == run.messages
    await store.close()


async def test_altered_row_is_noticed(url: str) -> None:
    """An altered row is detected before a model call."""
    store, run = open_store(url), SampleRun(turns=3)
    await store.append(run.batch())
    await store.close()
    await rows(
        url,
        "UPDATE $row SET text = string::replace(text, 'the text', 'forged')",
        row=RecordID("event", [run.run_id, 1]),
    )
    with pytest.raises(TranscriptUnavailable, match="damaged at entry 1"):
        await store.context(run.run_id, run.head)
    await store.close()


async def test_schema_is_applied_once_and_never_back(url: str) -> None:
    """Migrations are applied once; an older version refuses a newer database."""
    store = open_store(url)
    await store.open()
    await store.close()
    [first] = await rows(url, "SELECT * FROM schema_version")
    await store.open()
    await store.close()
    [second] = await rows(url, "SELECT * FROM schema_version")
    assert first == second
    await rows(url, "UPDATE schema_version SET version = 1000, readers = 1000")
    with pytest.raises(StoreUnavailable, match="schema version 1000"):
        await store.open()
    await rows(url, "UPDATE schema_version SET version = $version, readers = 1", version=first["version"])
    await store.open()
    await store.close()
