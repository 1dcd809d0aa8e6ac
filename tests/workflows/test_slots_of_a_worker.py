"""Runs beyond MAX_CONCURRENT_AGENTS: they say that they wait, and runs keep their slots over their turns."""

from __future__ import annotations

from functools import partial

import pytest

from holdfast import Agent, RunStatus, activities, tool
from holdfast.activities.slots import AgentSlots
from holdfast.scripted.chat import ChatRequest
from holdfast.testing import ChatToolCall, Reply
from tests.support.lab import Lab, eventually
from tests.support.switched_store import SwitchedStore


@tool(read_only=True)
async def step(word: str) -> str:
    """Takes a step."""
    return f"took {word}"


agent = Agent(name="walker", tools=[step])
TURNS = 4


def walk(request: ChatRequest) -> Reply:
    """Takes some steps, then answers."""
    if sum(message["role"] == "assistant" for message in request.messages) == TURNS - 1:
        return Reply("there")
    return Reply(tool_calls=[ChatToolCall("step", {"word": "one"})])


async def test_a_run_that_waits_for_a_slot_says_so(lab: Lab) -> None:
    """A run beyond the limit is queued, in its status, its details and in lists, until it has a slot."""
    lab.settings.max_concurrent_agents = 1
    lab.server.hold()
    async with lab.worker(agent, max_cached_workflows=10):
        first = await lab.holdfast.start("walker", "Go.")
        await lab.server.wait_for_requests(1)
        second = await lab.client.start_workflow(
            "AgentRun",
            {"agent": "walker", "input": "Go."},
            id=f"{first.id}-second",
            task_queue=lab.settings.temporal_task_queue,
        )
        run = lab.holdfast.handle(second.id)

        async def is_queued() -> bool:
            progress = await run.status()
            return progress.status == RunStatus.QUEUED and progress.doing.startswith("waiting for a free slot")

        await eventually(is_queued)
        assert (await first.status()).status == RunStatus.RUNNING
        assert "**queued** · waiting for a free slot (MAX_CONCURRENT_AGENTS)" in str(
            await second.query("__temporal_workflow_metadata")
        )

        async def is_listed() -> bool:
            listed = {found.run_id async for found in lab.holdfast.list(status=RunStatus.QUEUED)}
            return run.id in listed and first.id not in listed

        await eventually(is_listed)
        lab.server.release()
        assert [(await each.result(60)).success for each in (first, run)] == [True, True]


async def test_a_run_that_waits_for_a_slot_can_be_cancelled(lab: Lab) -> None:
    """A cancel ends the wait, and takes no slot."""
    lab.settings.max_concurrent_agents = 1
    lab.server.hold()
    async with lab.worker(agent, max_cached_workflows=10):
        first = await lab.holdfast.start("walker", "Go.")
        await lab.server.wait_for_requests(1)
        second = await lab.holdfast.start("walker", "Go.")

        async def is_queued() -> bool:
            return (await second.status()).doing.startswith("waiting for a free slot")

        await eventually(is_queued)
        await second.cancel()
        assert (await second.result(60)).status == RunStatus.CANCELLED
        lab.server.release()
        assert (await first.result(60)).success
        assert (await lab.holdfast.run("walker", "Go.")).success


async def test_a_call_without_its_context_keeps_its_slot(lab: Lab) -> None:
    """Runs whose context neither the worker nor the store has send it again, and do not take each other's slot."""
    lab.settings.max_concurrent_agents = 1
    lab.server.respond = walk
    store = SwitchedStore(on=False)
    lab.server.reply(*[Reply.error(503, headers={"Retry-After": "1"}) for _ in range(3)])
    async with lab.worker(agent, store=store, max_cached_workflows=10):
        runs = [await lab.holdfast.start("walker", f"Walk {number}.") for number in range(3)]
        await lab.server.wait_for_requests(1)
    async with lab.worker(agent, store=store, max_cached_workflows=10):
        for run in runs:
            assert (await run.result(60)).success
        store.on = True
        for run in runs:
            await lab.assert_mirrored(run.id, store)


async def test_a_run_keeps_its_slot_over_its_turns(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that has begun takes all its turns before one that waits begins."""
    monkeypatch.setattr(activities, "AgentSlots", partial(AgentSlots, linger=60))  # also on a busy machine
    lab.settings.max_concurrent_agents = 1
    lab.server.respond = walk
    lab.server.hold()
    async with lab.worker(agent, max_cached_workflows=10):
        runs = [await lab.holdfast.start("walker", f"Walk {number}.") for number in range(3)]
        await lab.server.wait_for_requests(1)
        lab.server.release()
        for run in runs:
            assert (await run.result(60)).success
    asked = [
        next(message["content"] for message in request.messages if message["role"] == "user")
        for request in lab.server.requests
    ]
    assert len(asked) == 3 * TURNS
    assert [asked[place] for place in range(0, 3 * TURNS, TURNS)] == list(dict.fromkeys(asked))
    assert all(asked[place] == asked[place - place % TURNS] for place in range(3 * TURNS))
