"""Export and import: everything is restored exactly, also on another engine; damage is detected and named."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import tracemalloc
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from surrealdb import RecordID

from holdfast.definition import AgentDefinition
from holdfast.errors import BundleDamaged, UsageError
from holdfast.ops.transfer import BundleWriter, Importer, JsonlExport, Selection, Tally, inspect
from holdfast.ops.transfer.bundle import TRAILER, exact_line
from holdfast.ops.transfer.parts import parts_of
from holdfast.ports.retrieval import StoredVector
from holdfast.storage.database import open_database
from holdfast.storage.mirror import MemoryStore
from holdfast.storage.mirror.sample import SampleRun
from holdfast.storage.persistence import Persistence
from holdfast.types import Entry, MirroredRun, RunId, RunStatus
from tests.support.databases import Databases
from tests.support.tiers import scaled
from tests.support.transfer_samples import BEGAN, TABLES, contents, exported, fill, imported, lines_of, opened, run


@dataclass(frozen=True)
class Export:
    """The file of a database with something of everything, and the database's rows."""

    file: bytes
    rows: dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def export() -> Export:
    """Made once: filling a database takes a while."""

    async def made() -> Export:
        persistence = opened(database := open_database("mem://"))
        await fill(persistence)
        export = Export(await exported(persistence), await contents(database))
        await database.close()
        return export

    return asyncio.run(made())


@pytest.mark.parametrize(
    ("origin", "target"),
    [
        ("surrealkv", "ws"),
        pytest.param("ws", "surrealkv", marks=pytest.mark.slow),
        pytest.param("mem", "http", marks=pytest.mark.slow),
    ],
)
async def test_everything_moves_to_another_engine(origin: str, target: str, databases: Databases) -> None:
    """A transfer to another engine moves everything exactly, and repeating it changes nothing."""
    old, new = databases.new(origin), databases.new(target)
    await fill(opened(old))
    file = await exported(opened(old))
    before = await contents(old)
    tallies = await imported(opened(new), file)
    after = await contents(new)
    for table in TABLES:
        assert after[table] == before[table], table
    assert {name: tally.kept for name, tally in tallies.items() if tally.kept} == {}
    assert tallies["runs"].written == 31

    again = await imported(opened(new), file)
    assert await contents(new) == before
    assert {name: tally.written for name, tally in again.items() if tally.written} == {}
    assert lines_of(await exported(opened(new))) == lines_of(file)


def resealed(lines: list[bytes]) -> bytes:
    """Returns a file of these lines with a matching trailer, as from someone who knows the format."""
    counts: dict[str, int] = {}
    for line in lines[1:-1]:
        kind = json.loads(line)["kind"]
        counts[kind] = counts.get(kind, 0) + 1
    body = b"".join(lines[:-1])
    return body + exact_line({"kind": TRAILER, "counts": counts, "sha256": hashlib.sha256(body).hexdigest()})


def edited(lines: list[bytes], kind: str, change: Callable[[dict[str, Any]], None]) -> bytes:
    """The file with its last item of a kind changed, and a trailer that fits."""
    place = max(number for number, line in enumerate(lines) if json.loads(line)["kind"] == kind)
    item = json.loads(lines[place])
    change(item)
    return resealed([*lines[:place], exact_line(item), *lines[place + 1 :]])


@dataclass(frozen=True)
class Damage:
    """Something that happens to files."""

    name: str
    do: Callable[[list[bytes]], bytes]
    said: str
    error: type[Exception] = BundleDamaged


DAMAGES = [
    Damage("empty", lambda _: b"", "line 1: the file is empty"),
    Damage("no export", lambda _: b'{"a": 1}\n', "line 1: the header is missing", UsageError),
    Damage("no text", lambda _: b"\xff\xfe\x00\n", "line 1: the header is missing", UsageError),
    Damage("newer", lambda lines: lines[0].replace(b'"version":1', b'"version":9'), "version 9", UsageError),
    Damage("without its trailer", lambda lines: b"".join(lines[:-1]), "is truncated"),
    Damage("cut in a line", lambda lines: b"".join(lines)[:-100], "is truncated"),
    Damage("cut early", lambda lines: b"".join(lines)[:5000], "is truncated"),
    Damage("one letter altered", lambda lines: b"".join(lines).replace(b"remember", b"rEmember", 1), "was altered"),
    Damage("a line missing", lambda lines: b"".join([*lines[:5], *lines[6:]]), "lines are missing"),
    Damage("a line twice", lambda lines: b"".join([*lines[:5], lines[4], *lines[5:]]), "or were added"),
    Damage("two files", lambda lines: b"".join(lines + lines), "there are lines after the trailer"),
    Damage("not JSON", lambda lines: b"".join([*lines[:3], b"{]\n", *lines[3:]]), "line 4 is not JSON"),
    Damage(
        "an entry altered, and sealed again",
        lambda lines: edited(lines, "entry", lambda item: item["entry"].update(turn=7)),
        "this entry cannot be imported: entry",
    ),
    Damage(
        "the last entry left out, and sealed again",
        lambda lines: resealed([line for line in lines if line != last(lines, "entry")]),
        "is incomplete: entry",
    ),
    Damage(
        "a head altered, and sealed again",
        lambda lines: edited(lines, "run", lambda item: item["head"].__setitem__(1, "0" * 64)),
        "cannot be imported",
    ),
    Damage(
        "a vector of text",
        lambda lines: edited(lines, "vector", lambda item: item.update(vector="[1]")),
        "this vector cannot be imported",
    ),
    Damage(
        "an agent under another's name",
        lambda lines: edited(lines, "agent", lambda item: item.update(name="other")),
        "this agent cannot be imported",
    ),
    Damage(
        "a row of another table",
        lambda lines: edited(lines, "bus", lambda item: item["row"].update(id={"$record": ["run", "x"]})),
        "it is not a row of table 'bus'",
    ),
    Damage(
        "a row with a column of its own",
        lambda lines: edited(lines, "bus_topic", lambda item: item["row"].update(extra=1)),
        "table 'bus_topic' has no column 'extra'",
    ),
    Damage(
        "a row with a text for a number",
        lambda lines: edited(lines, "bus_topic", lambda item: item["row"].update(last="7")),
        "column 'last' is missing or has a wrong type",
    ),
    Damage(
        "a number of more than 64 bits",
        lambda lines: edited(lines, "bus_topic", lambda item: item["row"].update(last=2**64)),
        "has more than 64 bits",
    ),
    Damage(
        "NUL in a run's id",
        lambda lines: edited(lines, "run", lambda item: item["summary"].update(run_id="a\0b")),
        "has a NUL",
    ),
    Damage(
        "half of a surrogate pair in a run's chain",
        lambda lines: edited(lines, "run", lambda item: item.update(chain="\ud800")),
        "has half of a surrogate pair",
    ),
    Damage(
        "a time that no time zone has",
        lambda lines: edited(lines, "run", lambda item: item["summary"].update(started_at="0001-01-01T00:00:00+14:00")),
        "this run cannot be imported",
    ),
    Damage(
        "a place in the list beyond every list",
        lambda lines: edited(lines, "agent", lambda item: item.update(place=2**64)),
        "has place 18446744073709551616",
    ),
    Damage("a header nested deep", lambda _: b"[" * 100_000 + b"\n", "line 1: the header is missing", UsageError),
    Damage(
        "an item nested deep",
        lambda lines: b"".join([*lines[:3], b'{"kind":' + b"[" * 100_000 + b"\n", *lines[3:]]),
        "line 4 is not JSON",
    ),
    Damage("an unknown kind", lambda lines: edited(lines, "agent", lambda item: item.update(kind="robot")), "'robot'"),
    Damage(
        "a chunk with another name",
        lambda lines: edited(lines, "payload", lambda item: item.update(name="../x")),
        "this payload cannot be imported",
    ),
]


def last(lines: list[bytes], kind: str) -> bytes:
    return [line for line in lines if json.loads(line)["kind"] == kind][-1]


async def test_a_damaged_file_is_refused_before_anything_is_written(databases: Databases, export: Export) -> None:
    """A damaged or forged file is refused, with the place named, before anything is written."""
    new = databases.new("mem")
    lines = export.file.splitlines(keepends=True)
    empty = await contents(new)
    for damage in DAMAGES:
        with pytest.raises(damage.error, match="line") as refusal:
            await imported(opened(new), damage.do(lines))
        assert damage.said in str(refusal.value), damage.name
        assert await contents(new) == empty, damage.name


class BrokenOff(Exception):
    """The power is gone."""


@pytest.mark.parametrize("part", scaled([0.6, 0.97], [0.1, 0.6, 0.9, 0.97]))
async def test_an_interrupted_import_continues(part: float, databases: Databases, export: Export) -> None:
    """An interrupted import can be completed; no run looks complete before it is."""
    new, file = databases.new("surrealkv"), export.file
    end = int(file.count(b"\n") * part)
    persistence = opened(new)
    parts = parts_of(persistence)

    def stop(line: int) -> None:
        if line >= end:
            raise BrokenOff

    with pytest.raises(BrokenOff):
        await Importer(persistence.store, parts, on_progress=stop).load(
            io.BytesIO(file), inspect(io.BytesIO(file), parts)
        )
    for there in await persistence.store.runs():
        is_whole = len(await persistence.store.entries(there.summary.run_id)) == there.head.seq + 1
        assert is_whole
    await imported(opened(new), file)
    assert await contents(new) == export.rows


async def moved(origin: MemoryStore, target: MemoryStore, *, replace: bool = False, dry_run: bool = False) -> Tally:
    """Brings the runs of one mirror into another."""
    file = await exported(Persistence(database=None, store=origin))
    persistence = Persistence(database=None, store=target)
    return (await imported(persistence, file, replace=replace, dry_run=dry_run))["runs"]


async def holding(*samples: SampleRun) -> MemoryStore:
    store = MemoryStore()
    for sample in samples:
        await store.append(sample.batch())
    return store


async def test_a_long_run_that_is_half_there_says_that_it_runs() -> None:
    """A partly imported run is shown as running."""
    sample = run(1, turns=150)
    store = MemoryStore()
    file = await exported(Persistence(database=None, store=await holding(sample)))

    def stop(line: int) -> None:
        if line == 300:
            raise BrokenOff

    with pytest.raises(BrokenOff):
        await Importer(store, [], on_progress=stop).load(io.BytesIO(file), inspect(io.BytesIO(file), []))
    half = await store.run(sample.run_id)
    assert half is not None
    assert half.summary.status == RunStatus.RUNNING
    assert 0 < half.head.seq < sample.head.seq

    await imported(Persistence(database=None, store=store), file)
    whole = await store.run(sample.run_id)
    assert whole is not None
    assert (whole.summary, whole.head) == (sample.batch().summary, sample.head)


async def test_a_newer_life_is_not_replaced_by_an_older_one() -> None:
    """A newer run with the same id is kept."""
    older, newer = run(1), run(1, chain="next life", started_at=BEGAN + timedelta(days=1))
    store = await holding(newer)
    tally = await moved(await holding(older), store)
    assert "a newer run of this id" in tally.kept[0]
    assert await store.head(newer.run_id) == newer.head


async def test_an_ended_run_is_replaced_only_if_that_is_wanted() -> None:
    """A later run of the same id replaces an ended one only with `replace`; a dry run says which."""
    older, newer = run(1), run(1, chain="next life", started_at=BEGAN + timedelta(days=1))
    store, file = await holding(older), await holding(newer)
    assert "--replace" in (await moved(file, store)).kept[0]
    planned = await moved(file, store, replace=True, dry_run=True)
    assert (planned.written, len(planned.replaced)) == (0, 1)
    assert await store.entries(older.run_id) == older.entries
    assert len((await moved(file, store, replace=True)).replaced) == 1
    assert await store.entries(newer.run_id) == newer.entries


@pytest.mark.parametrize("chain", ["only chain", "next life"])
async def test_an_active_run_is_never_touched(chain: str) -> None:
    """Neither a later run of the same id nor later entries replace what a worker is writing."""
    live = run(1, turns=3, status=RunStatus.RUNNING)
    forged = run(1, turns=9, chain=chain, started_at=live.started_at + timedelta(days=chain != live.chain))
    store = await holding(live)
    tally = await moved(await holding(forged), store, replace=True)
    assert "active here" in tally.kept[0]
    assert await store.run(live.run_id) == await (await holding(live)).run(live.run_id)


async def test_of_two_mirrors_of_one_run_the_longer_one_stays() -> None:
    """Of two mirrors of one run the longer one is kept."""
    sample = run(1, turns=90, status=RunStatus.RUNNING)
    part = MemoryStore()
    await part.append(sample.batch(0, 100))
    whole = await holding(sample)
    assert (await moved(part, whole)).same == 1
    assert await whole.head(sample.run_id) == sample.head
    assert "active here" in (await moved(whole, part)).kept[0], "its worker sends what is missing"
    part = MemoryStore()
    await part.append(run(1, turns=90, status=RunStatus.TERMINATED).batch(0, 100))
    ended = await holding(run(1, turns=90))
    assert "172 later entries" in (await moved(ended, part)).kept[0]
    assert (await moved(ended, part, replace=True)).written == 1
    assert await part.entries(sample.run_id) == sample.entries


@pytest.mark.parametrize("length", [(40, 30), (30, 40), (30, 30)])
async def test_mirrors_that_contradict_each_other_are_left_to_the_doctor(length: tuple[int, int]) -> None:
    """A mirror that contradicts the file is kept, and the conflict is reported."""
    here, there = run(1, turns=length[0]), run(1, turns=length[1], differs_from=20)
    store = await holding(here)
    tally = await moved(await holding(there), store, replace=True)
    assert (tally.written, tally.same, tally.replaced) == (0, 0, [])
    assert "differs from the stored one; `doctor verify`" in tally.kept[0]
    assert await store.entries(here.run_id) == here.entries


async def test_a_run_with_a_damaged_mirror_is_left_out_and_named(databases: Databases) -> None:
    """Runs with a damaged mirror are skipped and named; the others are exported."""
    old, new = databases.new("mem"), databases.new("mem")
    store = opened(old).store
    for number in (1, 2, 3):
        await store.append(run(number).batch())
    await old.run("UPDATE $row SET text = string::replace(text, 'at', 'ta')", row=RecordID("event", [run(2).run_id, 3]))
    await old.run("UPDATE $row SET text = 'no JSON'", row=RecordID("run", run(1).run_id))
    skipped: dict[RunId, str] = {}
    file = await exported(opened(old), skipped=skipped)
    assert set(skipped) == {run(1).run_id, run(2).run_id}
    assert (await imported(opened(new), file))["runs"].written == 1
    assert await opened(new).store.run_ids() == [run(3).run_id]


async def test_only_what_is_asked_for_is_loaded(databases: Databases, export: Export) -> None:
    """Only the selected parts are imported."""
    new = databases.new("mem")
    await imported(opened(new), export.file, only=frozenset(["agents"]))
    found = await contents(new)
    assert {table for table in TABLES if found[table]} == {"agent", "agent_head", "agent_place"}


async def test_a_memory_without_its_vector_is_embedded_anew(databases: Databases, export: Export) -> None:
    """Memories imported without vectors are queued for embedding."""
    new = databases.new("mem")
    await imported(opened(new), export.file, only=frozenset(["memories"]))
    waiting = await opened(new).memories.table.pending("shared", 100)
    assert len(waiting) == await opened(new).memories.count("shared") > 0


async def test_imported_memories_are_found_by_their_words_after_a_restart(databases: Databases) -> None:
    """Imported memories are all found by their words after a restart."""
    old, new = databases.new("mem"), databases.new("surrealkv")
    chapters = [f"Chapter {number} of the handbook" for number in range(40)]
    await opened(old).memories.add_many("book", chapters)
    await imported(opened(new), await exported(opened(old)))
    await new.close()  # the next use opens the files again
    found = await opened(new).memories.search("handbook", 100, namespaces=["book"])
    assert sorted(match.text for match in found if "text" in match.found_by) == sorted(chapters)


async def test_what_is_here_otherwise_stays_and_is_named(databases: Databases) -> None:
    """Existing agents, vectors and memories that differ are kept and named."""
    old, new = databases.new("mem"), databases.new("mem")
    for database, prompt in ((old, "theirs"), (new, "ours")):
        kept = opened(database)
        await kept.registry.register(AgentDefinition(name="guide", system_prompt=prompt))
        await kept.vectors("v").upsert_many([StoredVector(id="a", vector=[1.0, len(prompt)])])
        await kept.vectors(f"only {prompt}").upsert_many([StoredVector(id="a", vector=[1.0])])
        await kept.memories.add("shared", prompt, id="a")
    await opened(old).registry.register(AgentDefinition(name="new"))
    await opened(old).vectors("dimension").upsert_many([StoredVector(id="a", vector=[1.0, 2.0])])
    await opened(new).vectors("dimension").upsert_many([StoredVector(id="b", vector=[1.0])])
    tallies = await imported(opened(new), await exported(opened(old)))
    assert tallies["agents"].kept == ["agent 'guide': version 1 differs from the registered one"]
    assert tallies["memories"].kept == ["memory 'a' of namespace 'shared' differs from the stored one"]
    assert "vector 'a' of namespace 'v' differs from the stored one" in tallies["vectors"].kept
    assert any("has dimension 1" in why for why in tallies["vectors"].kept)
    ours = await opened(new).registry.get("guide")
    assert ours.system_prompt == "ours"
    assert await opened(new).registry.list_agents() == ["guide", "new"]
    assert (await opened(new).vectors("only theirs").get_vector("a")) is not None


class EndlessSource:
    """A run that does not fit in memory: its entries are generated on demand."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._sample = run(0)

    async def ids(self) -> AsyncIterator[RunId]:
        yield "long"

    async def run(self, run_id: RunId) -> MirroredRun:
        head = self._sample.head
        async for entry in self.entries(None):
            head = entry.ref
        summary = self._sample.batch().summary.model_copy(update={"run_id": run_id})
        return MirroredRun(summary=summary, chain="x", head=head)

    async def entries(self, _run: MirroredRun | None) -> AsyncIterator[Entry]:
        previous = ""
        for seq in range(self._length):
            entry = Entry.chained(previous, seq=seq, at=BEGAN, kind="status", turn=seq, data={"text": "x" * 200})
            previous = entry.digest
            yield entry


class Pipe:
    """Discards what is written and counts its bytes."""

    def __init__(self) -> None:
        self.size = 0

    def take(self, data: bytes) -> None:
        self.size += len(data)


async def test_memory_does_not_grow_with_what_is_exported() -> None:
    """The memory that an export needs does not depend on its size."""
    peaks = []
    for length in (500, 10_000):
        pipe, source = Pipe(), EndlessSource(length)
        writer = BundleWriter(pipe.take)
        tracemalloc.start()
        writer.begin()
        await JsonlExport(writer).write_runs(source, source.ids(), Selection())
        writer.end()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert pipe.size > length * 300
    assert peaks[1] < peaks[0] + 100_000


@pytest.mark.parametrize("kind", ["mem", "ws"])
async def test_a_long_run_goes_in_pieces(kind: str, databases: Databases) -> None:
    """A long run is deleted in several short statements, completely."""
    database = databases.new(kind)
    store = opened(database).store
    long, other = run(1, turns=2_000, extra=None), run(2)
    for first in range(0, len(long.entries), 1_000):
        await store.append(long.batch(first, first + 1_000))
    await store.append(other.batch())
    parts: list[str] = []
    whole = database.run

    async def counted(statement: str, **values: Any) -> list[Any]:
        parts.append(statement)
        return await whole(statement, **values)

    database.run = counted  # type: ignore[method-assign]
    await store.delete(long.run_id, seen=long.head)
    assert len(parts) == 4
    found = await contents(database)
    assert {str(row["id"]) for row in found["event"]} == {
        f"event:{json.dumps([other.run_id, e.seq])}" for e in other.entries
    }
    assert len(found["run"]) == 1
