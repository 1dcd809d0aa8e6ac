"""Vectors on a SurrealDB server: what is peculiar to its HNSW index."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue

from holdfast.errors import StoreUnavailable
from holdfast.ports.retrieval import StoredVector, VectorStoreProtocol
from holdfast.storage.database import Database
from holdfast.storage.persistence import Persistence, open_persistence
from holdfast.storage.vectors import MemoryVectorStore
from holdfast.storage.vectors.index import MAX_BACKLOG, Index
from holdfast.storage.vectors.sample import unit_vectors
from holdfast.storage.vectors.search import EXACT_UP_TO
from holdfast.storage.vectors.space import Spaces
from holdfast.storage.vectors.surreal import SurrealVectors
from tests.support.stored_vectors import database_of, ids, numbered
from tests.support.surreal_server import PASSWORD, USERNAME, SurrealServer

NAMESPACE = "test"
RECALL = 0.95
LONGEST_STALL = 0.5  # seconds for which the loop may stall
LARGEST_PART = 1 / 3  # of the time that the build takes, for which a busy machine may stall the loop


class Statements:
    """Remembers which statements are run on a database."""

    def __init__(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        self._run = database.run
        self.seen: list[str] = []
        monkeypatch.setattr(database, "run", self._seeing)

    async def _seeing(self, statement: str, **values: Any) -> list[Any]:
        self.seen.append(statement)
        return await self._run(statement, **values)

    def searched(self) -> tuple[bool, bool]:
        """Whether the index was asked, and whether everything was read."""
        asked = any("<|" in text for text in self.seen)
        read = any("FROM vector:[" in text for text in self.seen)
        self.seen.clear()
        return asked, read


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Persistence]:
    """An empty database on a server."""
    with SurrealServer.find(tmp_path) as server:
        persistence = open_persistence(server.url, username=USERNAME, password=PASSWORD)
        yield persistence
        await persistence.close()


async def recall(store: VectorStoreProtocol, exact: VectorStoreProtocol, queries: list[list[float]]) -> float:
    """What share of the ten nearest is found."""
    found = 0
    for query in queries:
        found += len(set(ids(await store.query(query, 10))) & set(ids(await exact.query(query, 10))))
    return found / (10 * len(queries))


async def test_the_index_finds_nearly_all(kept: Persistence, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search by index finds what is near without comparing with everything, and building it never stalls the loop."""
    statements = Statements(database_of(kept), monkeypatch)
    store, exact = kept.vectors(NAMESPACE), MemoryVectorStore()
    vectors, queries = unit_vectors(2_000, 384, seed=1), unit_vectors(20, 384, seed=2)
    await exact.upsert_many(numbered(vectors))
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        built = asyncio.Event()
        stall = group.create_task(longest_stall(built))
        await store.upsert_many(numbered(vectors))
        built.set()
    assert stall.result() < max(LONGEST_STALL, LARGEST_PART * (time.perf_counter() - began))
    statements.searched()
    assert await recall(store, exact, queries) >= RECALL
    assert statements.searched() == (True, False)
    best, same = await store.query(queries[0], 1), await exact.query(queries[0], 1)
    assert best == same


async def longest_stall(until: asyncio.Event) -> float:
    """Returns the seconds for which the loop has stood still at the longest."""
    longest = 0.0
    while not until.is_set():
        before = time.perf_counter()
        await asyncio.sleep(0.01)
        longest = max(longest, time.perf_counter() - before)
    return longest


async def test_filters_use_the_index_or_compare_all_that_fit(
    kept: Persistence, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A filter that leaves many vectors is applied to what the index finds; one that leaves few has exact results."""
    statements = Statements(database_of(kept), monkeypatch)
    store, exact = kept.vectors(NAMESPACE), MemoryVectorStore()
    vectors = [
        StoredVector(
            id=str(place),
            vector=vector,
            metadata={"half": place % 2, "most_compared": place % 5, "pair": place // 2},
        )
        for place, vector in enumerate(unit_vectors(5 * EXACT_UP_TO, 16, seed=1))
    ]
    for each in (store, exact):
        await each.upsert_many(vectors)
    statements.searched()
    query = unit_vectors(1, 16, seed=2)[0]
    frequent: dict[str, JsonValue] = {"half": 1}
    found = await store.query(query, 10, filter=frequent)
    assert statements.searched() == (True, False)
    assert len(set(ids(found)) & set(ids(await exact.query(query, 10, filter=frequent)))) >= 9
    few: list[dict[str, JsonValue]] = [{"most_compared": 3}, {"pair": 7}, {"half": 1, "pair": 7}, {"pair": -1}]
    for wanted in few:
        assert await store.query(query, 10, filter=wanted) == await exact.query(query, 10, filter=wanted)
    assert statements.searched() == (False, False)


async def test_few_vectors_are_compared(kept: Persistence, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small namespace has no index, and its results are exact."""
    statements = Statements(database_of(kept), monkeypatch)
    store = kept.vectors(NAMESPACE)
    for vector in numbered(unit_vectors(MAX_BACKLOG, 8, seed=1)):
        await store.upsert_many([vector])
    await store.query([1] * 8)
    assert statements.searched() == (False, True)


async def test_what_is_written_after_the_index_is_found(kept: Persistence) -> None:
    """What is added, replaced or deleted after the index was built is searched as it is now."""
    store, exact = kept.vectors(NAMESPACE), MemoryVectorStore()
    vectors, others = unit_vectors(600, 32, seed=1), unit_vectors(150, 32, seed=2)
    changes = numbered(others, first=550)  # replaces 50, adds 100
    for each in (store, exact):
        await each.upsert_many(numbered(vectors))
        await each.upsert_many(changes)
        for place in range(60):
            assert await each.delete(str(place))
    for query in (*vectors[:5], *others[:5], *vectors[550:555]):
        assert await store.query(query, 10) == await exact.query(query, 10)
        assert await store.query(query, 300) == await exact.query(query, 300)


async def test_the_index_is_built_again_when_much_has_changed(kept: Persistence) -> None:
    """An index that has fallen behind is replaced by a new one, and nothing of the old one is left."""
    database = database_of(kept)
    store = kept.vectors(NAMESPACE)
    await store.upsert_many(numbered(unit_vectors(500, 8, seed=1)))
    first = await Spaces(database, NAMESPACE).find()
    await store.upsert_many(numbered(unit_vectors(500, 8, seed=2), first=500))
    space = await Spaces(database, NAMESPACE).find()
    assert first is not None
    assert space is not None
    assert first.nearest != space.nearest
    [info] = await database.run("INFO FOR DB")
    assert [name for name in info["tables"] if name.startswith(space.table)] == [space.nearest]
    [backlog] = await database.run("SELECT count() FROM vector_backlog GROUP ALL")
    assert sum(row["count"] for row in backlog) == 0
    assert space.learned == 1_000


async def test_several_build_at_once(kept: Persistence) -> None:
    """Several processes may build at the same time, while searches continue."""
    database = database_of(kept)
    stores = [SurrealVectors(database)(NAMESPACE) for _ in range(4)]
    vectors = unit_vectors(MAX_BACKLOG * 3, 16, seed=1)
    exact = MemoryVectorStore()
    await exact.upsert_many(numbered(vectors))

    async def fill(store: VectorStoreProtocol, first: int) -> None:
        for start in range(first * 100, len(vectors), 400):
            await store.upsert_many(numbered(vectors[start : start + 100], start))
            assert ids(await store.query(vectors[start], 1)) == [str(start)]

    await asyncio.gather(*(fill(store, number) for number, store in enumerate(stores)))
    assert await recall(stores[0], exact, unit_vectors(10, 16, seed=2)) >= RECALL
    space = await Spaces(database, NAMESPACE).find()
    assert space is not None
    assert space.learned > MAX_BACKLOG


async def test_a_builder_that_died_is_followed_by_another(kept: Persistence) -> None:
    """Another process builds once the lease of a dead builder has run out, without what that one left."""
    database, spaces = database_of(kept), Spaces(database_of(kept), NAMESPACE)
    store = kept.vectors(NAMESPACE)
    await store.upsert_many(numbered(unit_vectors(MAX_BACKLOG, 8, seed=1)))
    space = await spaces.find()
    assert space is not None
    await database.run(f"CREATE {space.other_table}:left CONTENT {{ unit: [1, 2] }}")
    claim = "UPDATE $space SET builder = 'dead', until = time::now() {} RETURN NONE"
    await database.run(claim.format("+ 1h"), space=spaces.row)
    await Index(database, NAMESPACE, spaces).build()
    assert (await spaces.find()) == space, "one that may be alive is left alone"
    await database.run(claim.format("- 1s"), space=spaces.row)
    await Index(database, NAMESPACE, spaces).build()
    built = await spaces.find()
    assert built is not None
    assert (built.nearest, built.learned) == (space.other_table, MAX_BACKLOG)
    [count] = await database.run(f"SELECT count() FROM {built.nearest} GROUP ALL")
    assert count == [{"count": MAX_BACKLOG}]


async def test_without_an_answer_of_the_index_everything_is_compared(
    kept: Persistence, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search compares with everything where the index is missing or takes too long."""
    statements = Statements(database_of(kept), monkeypatch)
    store = kept.vectors(NAMESPACE)
    vectors = unit_vectors(600, 8, seed=1)
    await store.upsert_many(numbered(vectors))
    database = database_of(kept)
    space = await Spaces(database, NAMESPACE).find()
    assert space is not None
    await database.run(f"REMOVE TABLE {space.nearest}")
    statements.searched()
    assert ids(await store.query(vectors[7], 1)) == ["7"]
    assert statements.searched() == (True, True)


async def test_another_database_in_its_place_is_noticed(kept: Persistence) -> None:
    """After a database was emptied, a namespace takes vectors of another dimension."""
    store = kept.vectors(NAMESPACE)
    await store.upsert("a", [1, 2, 3])
    await database_of(kept).run("DELETE vector_namespace; DELETE vector; DELETE vector_backlog")
    await store.upsert("a", [1, 2])
    assert ids(await store.query([1, 2])) == ["a"]


async def test_an_unavailable_server_is_reported(tmp_path: Path) -> None:
    """Calls raise StoreUnavailable while the server is down, and succeed once it is back."""
    with SurrealServer.find(tmp_path) as server:
        kept = open_persistence(server.url, username=USERNAME, password=PASSWORD)
        store = kept.vectors(NAMESPACE)
        await store.upsert("a", [1, 2])
        server.kill()
        for call in (store.upsert("b", [1, 2]), store.query([1, 2]), store.get_vector("a"), store.delete("a")):
            with pytest.raises(StoreUnavailable):
                await call
        server.start()
        assert ids(await store.query([1, 2])) == ["a"]
        await kept.close()
