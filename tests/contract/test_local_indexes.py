"""Indexes beside an embedded database follow its rows, whichever process writes them and whatever dies."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import StoreUnavailable, UsageError
from holdfast.storage.database.background import BackgroundDatabase
from holdfast.storage.database.local_index import call_index
from holdfast.storage.persistence import Persistence, open_persistence, persistence_on
from holdfast.storage.vectors import MemoryVectorStore
from holdfast.storage.vectors.sample import unit_vectors
from tests.support import vector_writer
from tests.support.stored_vectors import database_of, ids, numbered

ROOT = Path(__file__).parents[2]
NAMESPACE = "test"


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Where an embedded database is to be."""
    return f"surrealkv://{tmp_path}/data"


@asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncIterator[Persistence]:
    """Opens the database, alone or shared."""
    persistence = open_persistence(url, **options)
    try:
        yield persistence
    finally:
        await persistence.close()


@asynccontextmanager
async def writer(url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Starts a process that writes vectors, see `vector_writer`; it owns the database if no other process does."""
    command = [sys.executable, "-m", "tests.support.vector_writer", url]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"written\n"
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_an_embedded_database_has_no_index_of_its_own(url: str) -> None:
    """The engine keeps neither a full-text nor an HNSW index, which cost minutes and hundreds of megabytes."""
    async with opened(url) as kept:
        await kept.vectors(NAMESPACE).upsert_many(numbered(unit_vectors(500, 8, seed=1)))
        await kept.memories.add("shared", "a text")
        [info] = await database_of(kept).run("INFO FOR DB")
        assert [name for name in info["tables"] if name.startswith("vector")] == ["vector", "vector_namespace"]
        assert info["analyzers"] == {}
        for table, indexes in {"vector": [], "memory": ["memory_pending"]}.items():
            [info] = await database_of(kept).run(f"INFO FOR TABLE {table}")
            assert list(info["indexes"]) == indexes


async def test_scores_are_those_of_every_backend(url: str) -> None:
    """An embedded database and a store in memory return the same matches, after a restart too."""
    exact, vectors = MemoryVectorStore(), unit_vectors(700, 32, seed=1)
    changes = numbered(unit_vectors(150, 32, seed=2), first=650)
    queries = [*vectors[:5], *unit_vectors(5, 32, seed=3)]
    async with opened(url) as kept:
        for store in (kept.vectors(NAMESPACE), exact):
            await store.upsert_many(numbered(vectors))
            await store.query(vectors[0])
            await store.upsert_many(changes)
            for place in range(60):
                assert await store.delete(str(place))
        expected = [await exact.query(query, 20) for query in queries]
        assert [await kept.vectors(NAMESPACE).query(query, 20) for query in queries] == expected
    async with opened(url) as kept:
        assert [await kept.vectors(NAMESPACE).query(query, 20) for query in queries] == expected


async def test_writes_continue_while_an_index_is_loaded(url: str) -> None:
    """What is written, replaced or deleted while vectors are read into memory is what a search finds."""
    vectors, texts = unit_vectors(2_000, 16, seed=1), [f"text number {number}" for number in range(2_000)]
    async with opened(url) as kept:
        await kept.vectors(NAMESPACE).upsert_many(numbered(vectors))
        await kept.memories.add_many("shared", texts)
    async with opened(url) as kept:
        store = kept.vectors(NAMESPACE)

        async def change() -> None:
            for place in range(20):
                await store.delete(str(place))
                await store.upsert(f"new {place}", vectors[place])
                await kept.memories.add("shared", f"turbine {place}")

        loading = asyncio.gather(store.query(vectors[0]), kept.memories.search("turbine", namespaces=["shared"]))
        await change()
        await loading
        for place in range(20):
            assert ids(await store.query(vectors[place], 1)) == [f"new {place}"]
        assert len(await kept.memories.search("turbines", 50, namespaces=["shared"])) == 20


async def test_rows_that_others_wrote_are_noticed(url: str) -> None:
    """Words of rows that came past the index, as an import writes them, are found at the next search."""
    async with opened(url) as kept:
        await kept.memories.add("shared", "apples and pears", id="fruit")
        assert await kept.memories.search("pears", namespaces=["shared"])
        await database_of(kept).run(
            "BEGIN; UPDATE memory SET text = 'turbines'; UPDATE memory_space SET revision += 1; COMMIT"
        )
        assert await kept.memories.search("turbine", namespaces=["shared"])
        assert await kept.memories.search("pears", namespaces=["shared"]) == []


async def test_a_namespace_that_was_emptied_begins_again(url: str) -> None:
    """After its rows were deleted by hand, a namespace takes vectors of another dimension."""
    async with opened(url) as kept:
        store = kept.vectors(NAMESPACE)
        await store.upsert("a", [1, 2, 3])
        assert ids(await store.query([1, 2, 3])) == ["a"]
        await database_of(kept).run("DELETE vector_namespace; DELETE vector")
        await store.upsert("a", [1, 2])
        assert ids(await store.query([1, 2])) == ["a"]


@pytest.mark.parametrize("delay", [0.0, 0.2, 0.5])
async def test_a_writer_killed_in_the_middle_leaves_whole_vectors(url: str, delay: float) -> None:
    """After `kill -9` amid `upsert_many`, acknowledged vectors are found, others wholly or not at all."""
    async with writer(url) as process:
        await asyncio.sleep(delay)  # somewhere in it; any moment will do
        process.kill()
        await process.wait()
    sample = vector_writer.sample()
    async with opened(url) as kept:
        store = kept.vectors(vector_writer.NAMESPACE)
        found = {match.id for match in await store.query(sample[0].vector, k=10_000)}
        assert {vector.id for vector in sample[: vector_writer.FIRST]} <= found
        for vector in sample[::50]:
            assert await store.get_vector(vector.id) == (vector if vector.id in found else None)
        await store.upsert_many(sample)
        assert len(await store.query(sample[0].vector, k=10_000)) == len(sample)


async def test_two_processes_see_each_others_writes(url: str) -> None:
    """A process searches what another is writing, and owns the index itself once that one is killed."""
    sample = vector_writer.sample()
    async with writer(url) as process, opened(url, shared=True) as kept:
        store = kept.vectors(vector_writer.NAMESPACE)
        for place in range(5):
            await store.upsert(f"ours {place}", sample[place].vector, {"ours": True})
            found = await store.query(sample[place].vector, 2)
            assert ids(found) == [str(place), f"ours {place}"]
        await kept.memories.add("shared", "a note about turbines")
        assert await kept.memories.search("turbine", namespaces=["shared"])
        process.kill()
        await process.wait()
        for place in range(5):
            assert ids(await store.query(sample[place].vector, 1, filter={"ours": True})) == [f"ours {place}"]
        assert await kept.memories.search("turbine", namespaces=["shared"])


async def test_an_owner_and_its_peer_write_at_once(url: str) -> None:
    """Vectors that two connections write at the same time are all found by both."""
    vectors = unit_vectors(400, 16, seed=1)
    async with opened(url, shared=True) as one, opened(url, shared=True) as two:

        async def fill(kept: Persistence, first: int) -> None:
            store = kept.vectors(NAMESPACE)
            for start in range(first, len(vectors), 100):
                await store.upsert_many(numbered(vectors[start : start + 50], start))
                assert ids(await store.query(vectors[start], 1)) == [str(start)]

        await asyncio.gather(fill(one, 0), fill(two, 50))
        for kept in (one, two):
            assert len(await kept.vectors(NAMESPACE).query(vectors[0], k=1_000)) == len(vectors)


def test_event_loops_share_an_index(url: str) -> None:
    """A database in the background serves searches of one event loop after the other."""
    kept = persistence_on(BackgroundDatabase(lambda: database_of(open_persistence(url))))
    store = kept.vectors(NAMESPACE)
    asyncio.run(store.upsert("a", [1, 2]))
    assert ids(asyncio.run(store.query([1, 2]))) == ["a"]
    asyncio.run(store.upsert("b", [2, 1]))
    assert ids(asyncio.run(store.query([2, 1]))) == ["b", "a"]
    asyncio.run(kept.close())


async def test_closing_while_an_index_is_loaded_closes(url: str) -> None:
    """A search that was waiting for the index fails, and the database stays closed."""
    async with opened(url) as kept:
        await kept.vectors(NAMESPACE).upsert_many(numbered(unit_vectors(3_000, 64, seed=1)))
    kept = open_persistence(url)
    await kept.open()
    search = asyncio.create_task(kept.vectors(NAMESPACE).query([1.0] * 64))
    await asyncio.sleep(0)
    await kept.close()
    outcome = (await asyncio.gather(search, return_exceptions=True))[0]
    assert isinstance(outcome, StoreUnavailable | list)
    async with opened(url) as again:  # raises StoreLocked if it had been opened again
        assert len(await again.vectors(NAMESPACE).query([1.0] * 64)) == 5


async def test_a_write_that_fails_leaves_the_index_right(url: str) -> None:
    """After the database refused a write, searches find what the rows say."""
    async with opened(url) as kept:
        store = kept.vectors(NAMESPACE)
        await store.upsert("a", [1, 2])
        assert ids(await store.query([1, 2])) == ["a"]
        row = {"id": "not a record", "exact": b"", "norm": "no number", "metadata": "{}", "facets": []}
        with pytest.raises(StoreUnavailable):
            await call_index(kept.database, "vectors", "upsert", namespace=NAMESPACE, dimension=2, rows=[row])
        assert ids(await store.query([1, 2])) == ["a"]


async def test_an_unknown_operation_is_refused(url: str) -> None:
    """A newer process that asks an older one for what it does not know is told to restart it."""
    async with opened(url) as kept:
        for name, operation in (("vectors", "fly"), ("words", "fly"), ("pictures", "query")):
            with pytest.raises(UsageError, match="restart the process"):
                await call_index(kept.database, name, operation)
