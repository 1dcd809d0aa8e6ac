"""The edges between runs and their forks: written in any order, restored, and not missed once the origin is deleted."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

import pytest

from holdfast.storage.mirror.rows import run_id
from holdfast.types import ForkedFrom
from tests.support.dump import dump
from tests.support.engine import Engine, open_engine
from tests.support.logs import Log, Turn

TURNS = (Turn("t", calls=("a",), answers=(0,), extra=None),)
ORIGIN = Log(turns=TURNS, ended=True, run_id="an origin")
FORK = Log(turns=TURNS, ended=True, run_id="its fork", forked=ForkedFrom(run="an origin", seq=3, digest="d" * 64))
AGAIN = Log(turns=TURNS, ended=True, run_id="its fork's", forked=ForkedFrom(run="its fork", seq=1, digest="e" * 64))
EDGES = [("an origin", "its fork", 3), ("its fork", "its fork's", 1)]


@pytest.fixture(scope="module", params=["mem", "ws"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Each dialect of the database."""
    with open_engine(request.param, tmp_path_factory.mktemp("engine")) as engine:
        yield engine


async def edges(engine: Engine) -> list[tuple[str, str, int]]:
    """Origin, fork and seq of each edge."""
    assert engine.database is not None
    rows = (await dump(engine.database))["forked"]
    assert all(row["digest"] and row["at"] for row in rows)
    return [(row["in"][5:-1], row["out"][5:-1], row["seq"]) for row in rows]


def test_forks_come_in_any_order(engine: Engine) -> None:
    """The edge exists whichever run is written first."""

    async def check() -> None:
        for order in permutations([ORIGIN, FORK, AGAIN]):
            for log in order:
                await engine.store.append(log.batch())
            assert await edges(engine) == EDGES
            for log in order:
                assert await engine.store.differences(log.batch()) == []
            await engine.clear()

    engine.run(check())


def test_the_origin_is_deleted_and_comes_back(engine: Engine) -> None:
    """A deleted origin takes the edge along, which nobody misses; written again, it has its forks again."""

    async def check() -> None:
        for log in (ORIGIN, FORK, AGAIN):
            await engine.store.append(log.batch())
        await engine.store.delete("an origin")
        assert await edges(engine) == EDGES[1:]
        assert await engine.store.differences(FORK.batch()) == []
        await engine.store.append(ORIGIN.batch())
        assert await edges(engine) == EDGES
        await engine.clear()

    engine.run(check())


def test_a_lost_edge_is_repaired(engine: Engine) -> None:
    """An edge that is missing although both runs are there is a difference, and is written again."""

    async def check() -> None:
        assert engine.database is not None
        for log in (ORIGIN, FORK):
            await engine.store.append(log.batch())
        await engine.database.run("DELETE $run<-forked", run=run_id("its fork"))
        assert [str(each) for each in await engine.store.differences(FORK.batch())] == ["forked: missing"]
        assert await engine.store.repair(FORK.batch(), FORK.head)
        assert await edges(engine) == EDGES[:1]
        await engine.database.run("UPDATE $run<-forked SET seq = 2", run=run_id("its fork"))
        assert [str(each) for each in await engine.store.differences(FORK.batch())] == ["forked: altered: seq"]
        await engine.clear()

    engine.run(check())


def test_the_tree_of_forks_is_one_query(engine: Engine) -> None:
    """The forks of a run, and of these, are found along the edges."""

    async def check() -> None:
        assert engine.database is not None
        for log in (ORIGIN, FORK, AGAIN):
            await engine.store.append(log.batch())
        query = "RETURN $run.{..}.{ id, forks: ->forked->run.@ }"
        [tree] = await engine.database.run(query, run=run_id("an origin"))
        [first] = tree["forks"]
        assert (first["id"].id, [each["id"].id for each in first["forks"]]) == ("its fork", ["its fork's"])
        await engine.clear()

    engine.run(check())
