"""Pruning deletes old runs, and never an active one, no matter what the mirror says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from holdfast import Agent, RunHandle, tool
from holdfast.errors import TemporalUnavailable
from holdfast.ops.retention.executions import Executions, ExecutionState
from holdfast.ops.retention.pruning import Prunable, Pruner, Retained
from holdfast.ops.retention.retention import Retention, Round
from holdfast.ports.ledger import CallKey
from holdfast.storage.ledger import MemoryLedger
from holdfast.storage.mirror import MemoryStore
from holdfast.storage.mirror.sample import SampleRun
from holdfast.storage.persistence import open_persistence
from holdfast.types import RunStatus
from tests.support.lab import Lab, eventually

HOUR = timedelta(hours=1)


@tool(read_only=True)
async def note(number: int) -> str:
    """Notes a number."""
    return f"noted {number}"


clerk = Agent(name="clerk", system_prompt="You note.", tools=[note])


@pytest.fixture
async def executions(lab: Lab) -> AsyncIterator[Executions]:
    """What Temporal says; what the model server holds back is let go in the end."""
    yield Executions(lab.client)
    lab.server.release()


def later() -> datetime:
    """A moment before which everything has ended."""
    return datetime.now(UTC) + HOUR


async def ended(lab: Lab) -> RunHandle:
    """A run that is over, in its mirror too."""
    lab.server.say("done")
    run = await lab.holdfast.start("clerk", "Go.")
    await run.result()
    await lab.assert_mirrored(run.id)
    return run


async def waiting(lab: Lab) -> RunHandle:
    """A run that waits for the model, with something in its mirror."""
    lab.server.call_tools(("note", {"number": 1}))
    asked = len(lab.server.requests)
    run = await lab.holdfast.start("clerk", "Note 1.")
    await lab.server.wait_for_requests(asked + 1)
    lab.server.hold()
    await lab.server.wait_for_requests(asked + 2)

    async def mirrored() -> bool:
        return await lab.store.head(run.id) is not None

    await eventually(mirrored)
    return run


async def found(pruner: Pruner, before: datetime) -> dict[str, type[Prunable | Retained]]:
    """Returns whether each old run is prunable or retained."""
    runs = [each async for each in pruner.find(before)]
    return {each.run.summary.run_id if isinstance(each, Prunable) else each.run_id: type(each) for each in runs}


async def test_a_run_that_ended_long_ago_goes(lab: Lab, executions: Executions) -> None:
    """Runs that ended before the limit are deleted, and only those."""
    async with lab.worker(clerk):
        run = await ended(lab)
        pruner = Pruner(lab.store, executions)
        assert await found(pruner, datetime.now(UTC) - HOUR) == {}
        [prunable] = [each async for each in pruner.find(later())]
        assert isinstance(prunable, Prunable)
        assert await pruner.drop(prunable)
        assert await lab.store.run(run.id) is None
        assert await lab.store.entries(run.id) == []
        assert await found(pruner, later()) == {}


async def test_the_ledger_of_a_deleted_run_goes(executions: Executions) -> None:
    """With a run, its calls are deleted from the ledger; those of a later run of the same id are kept."""
    store, ledger, long_ago = MemoryStore(), MemoryLedger(), datetime.now(UTC) - 2 * HOUR
    old = SampleRun(turns=1, run_id="again", chain="old", started_at=long_ago, status=RunStatus.COMPLETED)
    await store.append(old.batch())
    keys = [CallKey("again", chain, 2, 0, "f") for chain in ("old", "next")]
    for key in keys:
        await ledger.claim(key, owner="a", tool="pay")
    pruner = Pruner(store, executions, ledger=ledger)
    [prunable] = [each async for each in pruner.find(datetime.now(UTC) - HOUR)]
    assert isinstance(prunable, Prunable)
    assert await pruner.drop(prunable)
    assert [await ledger.find(key) is not None for key in keys] == [False, True]


async def test_a_live_run_stays_whatever_the_mirror_says(lab: Lab, executions: Executions) -> None:
    """An active run is kept, no matter what the mirror says."""
    async with lab.worker(clerk):
        run = await waiting(lab)
        pruner = Pruner(lab.store, executions)
        assert await found(pruner, later()) == {}

        there = await lab.store.run(run.id)
        assert there is not None
        over = {"status": RunStatus.COMPLETED, "finished_at": there.summary.started_at}
        said = there.model_copy(update={"summary": there.summary.model_copy(update=over)})
        assert await lab.store.conclude(said)
        [retained] = [each async for each in pruner.find(later())]
        assert isinstance(retained, Retained)
        assert "still open in Temporal" in retained.reason
        assert not await pruner.drop(Prunable(said))
        assert await lab.store.run(run.id) is not None
        await run.terminate("the test is over")


async def test_a_run_whose_end_the_mirror_missed_stays_and_is_named(lab: Lab, executions: Executions) -> None:
    """A run whose end is not certain is kept and named."""
    async with lab.worker(clerk):
        run = await waiting(lab)
        await run.terminate("hangs")

        async def closed() -> bool:
            return await executions.state(run.id) == ExecutionState.CLOSED

        await eventually(closed)
        assert await found(Pruner(lab.store, executions), later()) == {run.id: Retained}
        assert await lab.store.run(run.id) is not None


async def test_a_run_that_began_anew_in_between_stays(lab: Lab, executions: Executions) -> None:
    """A new run with the id of a deleted one is kept."""
    store = lab.store
    ended_at = datetime.now(UTC) - 2 * HOUR
    old = SampleRun(turns=1, run_id="again", started_at=ended_at, status=RunStatus.COMPLETED)
    await store.append(old.batch())
    pruner = Pruner(store, executions)
    [prunable] = [each async for each in pruner.find(datetime.now(UTC) - HOUR)]
    new = SampleRun(turns=2, run_id="again", chain="next")
    await store.append(new.batch())
    assert isinstance(prunable, Prunable)
    assert not await pruner.drop(prunable)
    assert await store.head("again") == new.head


@pytest.mark.parametrize("kind", ["memory", "surrealkv"])
async def test_pruning_beside_runs_that_continue(kind: str, tmp_path: Path, lab: Lab, executions: Executions) -> None:
    """Pruning works concurrently with active runs and with another pruning."""
    persistence = open_persistence("memory://" if kind == "memory" else f"surrealkv://{tmp_path}/db")
    store = persistence.store
    long_ago = datetime.now(UTC) - 2 * HOUR
    olds = [SampleRun(turns=3, started_at=long_ago, status=RunStatus.FAILED) for _ in range(20)]
    for old in olds:
        await store.append(old.batch())
    live = [SampleRun(turns=10) for _ in range(5)]

    async def write(sample: SampleRun) -> None:
        for first in range(0, len(sample.entries), 4):
            await store.append(sample.batch(first, first + 4))

    keeping = Pruner(store, None, frozenset([RunStatus.FAILED]))
    assert await found(keeping, datetime.now(UTC) - HOUR) == {}
    rounds = [Retention(Pruner(store, executions), executions, HOUR).round() for _ in range(2)]
    done = await asyncio.gather(*rounds, *map(write, live))
    assert {each.retained for each in done if isinstance(each, Round)} == {0}
    assert set(await store.run_ids()) == {sample.run_id for sample in live}
    for sample in live:
        assert await store.entries(sample.run_id) == sample.entries
    await persistence.close()


async def test_a_round_without_temporal_drops_nothing(lab: Lab) -> None:
    """Without Temporal nothing is deleted."""

    class Away(Executions):
        async def state(self, run_id: str) -> ExecutionState:  # noqa: ARG002 - the base's
            raise TemporalUnavailable("no Temporal server answers")

    store = MemoryStore()
    long_ago = datetime.now(UTC) - 2 * HOUR
    await store.append(SampleRun(turns=1, started_at=long_ago, status=RunStatus.COMPLETED).batch())
    away = Away(lab.client)
    with pytest.raises(TemporalUnavailable):
        await Retention(Pruner(store, away), away, HOUR).round()
    assert len(await store.run_ids()) == 1


async def test_payloads_stay_while_a_history_may_need_them(lab: Lab, executions: Executions) -> None:
    """Payloads are kept as long as a history may need them."""
    async with lab.worker(clerk):
        run = await ended(lab)
        snapshot = await lab.store.run(run.id)
        assert snapshot is not None
        assert await executions.earliest_start_bound(later()) <= snapshot.summary.started_at
        long_ago = datetime(2021, 1, 1, tzinfo=UTC)
        assert await executions.earliest_start_bound(long_ago) == long_ago
