"""Waits of runs in the mirror: rows that begin, end and are cut off, and the list of what is open."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from holdfast.errors import StoreUnavailable
from holdfast.ports import Store
from holdfast.progress import FOR_PEOPLE
from holdfast.storage.database import open_database
from holdfast.storage.encryption import KeyRing, new_key
from holdfast.storage.mirror.surreal import SurrealStore
from holdfast.types import RunStatus
from tests.support.dump import dump
from tests.support.engine import EXAMPLES, Engine, open_engine
from tests.support.logs import FAILURE, Log, Turn

WAITS = Log(
    turns=(Turn("one", ("a",), (0,), None, waits=(True, False)), Turn("two", (), (), None, waits=(False,))), ended=False
)
"""Two waits in its first turn, one of which ends, and one in its second."""


@pytest.fixture(scope="module", params=EXAMPLES)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Each kind of store."""
    with open_engine(request.param, tmp_path_factory.mktemp("engine")) as engine:
        yield engine


async def waiting(store: Store) -> list[str]:
    """What is open, by its ids."""
    return [each.wait.id for each in await store.open_waits(FOR_PEOPLE)]


def test_what_waits_is_listed(engine: Engine) -> None:
    """A wait is open from its entry to the entry that ends it, however the entries are batched."""

    async def check() -> None:
        for size in (1, 3, len(WAITS.entries)):
            for first in range(0, len(WAITS.entries), size):
                await engine.store.append(WAITS.batch(first, min(first + size, len(WAITS.entries))))
            assert await waiting(engine.store) == ["1/1", "2/0"]
            await engine.same_as(WAITS)
            await engine.clear()
        assert await waiting(engine.store) == []

    engine.run(check())


def test_the_list_says_what_a_person_needs(engine: Engine) -> None:
    """The list has the run, its agent and the wait exactly; other kinds are left out, and a limit is kept."""

    async def check() -> None:
        await engine.store.append(WAITS.batch())
        [first] = await engine.store.open_waits(FOR_PEOPLE, limit=1)
        assert (first.run_id, first.agent, first.wait.kind) == (WAITS.run_id, "sample", "approval")
        assert first.wait.data == {"call": "one"}
        assert await engine.store.open_waits(["timer"]) == []
        await engine.clear()

    engine.run(check())


def test_an_ended_run_waits_for_nobody(engine: Engine) -> None:
    """What a run waited for when it was terminated is listed no more."""

    async def check() -> None:
        await engine.store.append(WAITS.batch())
        run = await engine.store.run(WAITS.run_id)
        assert run is not None
        ended = run.summary.model_copy(update={"status": RunStatus.TERMINATED, "error": FAILURE})
        assert await engine.store.conclude(run.model_copy(update={"summary": ended}))
        assert await waiting(engine.store) == []
        await engine.clear()

    engine.run(check())


def test_a_rewritten_run_has_its_own_waits(engine: Engine) -> None:
    """Entries that replace others take away the waits that began, and the ends of waits, after the first difference."""
    ended = next(entry.seq for entry in WAITS.entries if entry.kind == "wait_ended")

    async def check() -> None:
        other = WAITS.other(turns=(Turn("one", ("a",), (0,), None, waits=(False, False)),), ended=True)
        assert other.entries[:ended] == WAITS.entries[:ended]
        await engine.store.append(WAITS.batch())
        await engine.store.append(other.batch())
        await engine.same_as(other)
        await engine.store.append(WAITS.batch())
        await engine.same_as(WAITS)
        await engine.clear()

    engine.run(check())


async def test_encrypted_rows_hide_what_is_waited_for() -> None:
    """With a key, the rows keep kind and times in plain text, and nothing of the content."""
    database = open_database("mem://")
    store = SurrealStore(database, KeyRing.parse(new_key()))
    log = WAITS.other(turns=(Turn("secret plan", ("a",), (), None, waits=(False,)),))
    await store.append(log.batch())
    [row] = (await dump(database))["wait"]
    assert "secret" not in str(row)
    assert row["kind"] == "approval"
    [found] = await store.open_waits(FOR_PEOPLE)
    assert found.wait.what == "secret plan"
    assert await store.differences(log.batch()) == []
    await store.close()
    await database.close()


async def test_a_store_of_old_cannot_say() -> None:
    """A store in a package of its own that does not know the question is unavailable for it."""

    class Old(Store):
        """A store from before there were waits."""

    with pytest.raises(StoreUnavailable, match="does not list"):
        await Old().open_waits(FOR_PEOPLE)  # type: ignore[abstract]
