"""Calls that must not take effect twice, of workers that are killed or frozen at any moment."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from random import Random

import pytest

from holdfast import RunHandle
from holdfast.testing import ChatRequest, ChatToolCall, Reply
from tests.support.freezing import freeze
from tests.support.lab import eventually
from tests.support.phased_agents import FOLDER, LATE, PHASES, Phases
from tests.support.processes import TIMEOUT, Site
from tests.support.surreal_server import PASSWORD, USERNAME, SurrealServer
from tests.support.tiers import scaled, slow

ROUNDS, RUNS = scaled((1, 10), (4, 25))
SEED = 20
EXPECTED = {
    "before": (1, None),
    "claimed": (0, "unknown"),
    "begun": (0, "unknown"),
    "effect": (1, "unknown"),
    "recorded": (1, "recorded"),
}
"""By phase in which the worker dies: how often the call takes effect, and how its result is known."""


@pytest.fixture
async def site(temporal_address: str, tmp_path: Path) -> AsyncIterator[Site]:
    """Where the workers of a test run, with calls that stop at a phase."""
    async with Site.open(temporal_address, tmp_path) as site:
        ours = {"HOLDFAST_AGENTS": "tests.support.phased_agents", FOLDER: str(tmp_path / "phases"), LATE: "1"}
        site.environment |= {**ours, "MAX_CONCURRENT_AGENTS": str(RUNS)}
        yield site


@pytest.fixture
def phases(tmp_path: Path) -> Phases:
    """What the calls do."""
    return Phases(tmp_path / "phases")


def pay_once(request: ChatRequest) -> Reply:
    """A model that makes the call that it is asked for, and says what it was told."""
    last = request.messages[-1]
    if last["role"] == "tool":
        return Reply(str(last["content"]))
    return Reply(tool_calls=[ChatToolCall(str(last["content"]), {})])


async def reached(phases: Phases, *runs: RunHandle) -> None:
    """Waits until the call of each run has stopped."""

    async def all_have() -> bool:
        return all(phases.has_reached(run.id) for run in runs)

    await eventually(all_have, TIMEOUT)


async def outcome(run: RunHandle) -> str | None:
    """How the result of a run's only call is known."""
    [known] = [entry.data.get("outcome") async for entry in run.entries() if entry.kind == "tool_result"]
    assert known is None or isinstance(known, str)
    return known


async def test_effect_killed_before_during_after_x100(site: Site, phases: Phases) -> None:
    """Wherever a worker is killed, a call never takes effect twice, and each call of unknown outcome is reported."""
    random = Random(SEED)
    site.server.respond = pay_once
    for number in range(ROUNDS):
        worker = await site.worker()
        chosen = [PHASES[place % len(PHASES)] for place in range(RUNS)]
        runs = []
        for place, phase in enumerate(chosen):
            run_id = f"{site.environment['TEMPORAL_TASK_QUEUE']}-{number}-{place}"
            phases.choose(run_id, phase)
            runs.append(await site.holdfast.start("payer", random.choice(["pay", "pay_blocking"]), id=run_id))
        await reached(phases, *runs)
        worker.kill()
        worker = await site.worker()
        for run, phase in zip(runs, chosen, strict=True):
            result = await run.result(TIMEOUT)
            assert (phases.effects()[run.id], await outcome(run)) == EXPECTED[phase], phase
            told = "it is unknown whether the call took effect" if EXPECTED[phase][1] == "unknown" else "paid 1 times"
            assert told in result.content
        await site.assert_mirrored(worker, *runs)


@pytest.mark.parametrize("thaws", ["in time", *slow("too late")])
async def test_frozen_worker_returns(site: Site, phases: Phases, thaws: str, surreal: SurrealServer) -> None:
    """A worker that was frozen during a call returns: its result is used if nothing has been decided yet."""
    site.environment |= {
        "SURREALDB_URL": surreal.url,
        "SURREALDB_USERNAME": USERNAME,
        "SURREALDB_PASSWORD": PASSWORD,
        LATE: "60" if thaws == "in time" else "0.5",
    }
    site.server.respond = pay_once
    frozen = await site.worker()
    run_id = site.environment["TEMPORAL_TASK_QUEUE"]
    phases.choose(run_id, "effect")
    run = await site.holdfast.start("payer", "pay", id=run_id)
    await reached(phases, run)
    freeze(frozen.pid)
    other = await site.worker()
    in_time = thaws == "in time"
    await other.wait_for_output("waits for the result of a lost call" if in_time else "it is unknown whether")
    phases.release(run_id)
    frozen.signal(signal.SIGCONT)
    if not in_time:
        await frozen.wait_for_output("whose outcome was reported as unknown")
    result = await run.result(TIMEOUT)
    assert ("paid 1 times" if in_time else "it is unknown whether") in result.content
    assert await outcome(run) == ("recorded" if in_time else "unknown")
    assert phases.effects() == {run_id: 1}


async def test_frozen_worker_answers_for_a_person(site: Site, phases: Phases, surreal: SurrealServer) -> None:
    """While a person is asked what became of a call, its worker returns: the wait ends, and the result is used."""
    site.environment |= {
        "SURREALDB_URL": surreal.url,
        "SURREALDB_USERNAME": USERNAME,
        "SURREALDB_PASSWORD": PASSWORD,
        LATE: "0.5",
    }
    site.server.respond = pay_once
    frozen = await site.worker()
    run_id = site.environment["TEMPORAL_TASK_QUEUE"]
    phases.choose(run_id, "effect")
    run = await site.holdfast.start("payer", "pay_or_ask", id=run_id)
    await reached(phases, run)
    freeze(frozen.pid)
    other = await site.worker()
    await other.wait_for_output("it is unknown whether")
    phases.release(run_id)
    frozen.signal(signal.SIGCONT)
    assert (await run.result(TIMEOUT)).content == "paid 1 times"
    assert await outcome(run) == "recorded"
    ends = [entry.data async for entry in run.entries() if entry.kind == "wait_ended"]
    assert [(end["outcome"], end["by"]) for end in ends] == [("happened", "its worker")]
    assert phases.effects() == {run_id: 1}


@pytest.mark.slow
async def test_a_frozen_worker_does_not_begin_later(site: Site, phases: Phases, surreal: SurrealServer) -> None:
    """A worker that was frozen before its claim finds that of another worker, and does not make the call."""
    site.environment |= {"SURREALDB_URL": surreal.url, "SURREALDB_USERNAME": USERNAME, "SURREALDB_PASSWORD": PASSWORD}
    site.server.respond = pay_once
    frozen = await site.worker()
    run_id = site.environment["TEMPORAL_TASK_QUEUE"]
    phases.choose(run_id, "before")
    run = await site.holdfast.start("payer", "pay", id=run_id)
    await reached(phases, run)
    freeze(frozen.pid)
    await site.worker()

    async def has_paid() -> bool:
        return phases.effects()[run_id] == 1

    await eventually(has_paid, TIMEOUT)
    phases.release(run_id)
    frozen.signal(signal.SIGCONT)
    assert (await run.result(TIMEOUT)).content == "paid 1 times"
    assert await frozen.stop() == 0
    assert phases.effects() == {run_id: 1}


@pytest.fixture
def surreal(tmp_path: Path) -> Iterator[SurrealServer]:
    """A database that does not belong to one of the workers."""
    folder = tmp_path / "surreal"
    folder.mkdir()
    server = SurrealServer.find(folder)
    with server:
        yield server
