"""Queries that reach a new worker before the workflow task that its predecessor did not finish."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowQueryFailedError

from holdfast import Agent, RunHandle, RunStatus, tool
from holdfast.composition import worker
from holdfast.errors import NOT_YET
from holdfast.temporal.run_log import TemporalRunLog
from holdfast.testing import ChatToolCall, Reply
from tests.support.lab import Lab, contents, eventually
from tests.support.tiers import scaled
from tests.support.trees import assert_replays

ROOT = Path(__file__).parents[2]
ROUNDS, RUNS = scaled(1, 10), 20  # side by side in each round, and asked all the time, which costs more than they do


def speaker(heard: asyncio.Event) -> Agent:
    """An agent with a tool that ends when the test releases it."""

    @tool(read_only=True)
    async def listen() -> str:
        """Listens until there is something to hear."""
        await heard.wait()
        return "a knock"

    return Agent(name="speaker", system_prompt="You speak.", tools=[listen])


@asynccontextmanager
async def orphan(lab: Lab, agent: Agent, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RunHandle]:
    """A run whose worker was killed in the middle of a tool call; a worker polls for activities, none for workflows."""
    lab.server.reply(Reply(tool_calls=[ChatToolCall("listen", {})]))
    lab.server.reply(Reply(text="Somebody knocked."))
    async with AsyncExitStack() as stack:
        with monkeypatch.context() as patch:
            patch.setattr(worker, "WORKFLOWS", [])
            await stack.enter_async_context(lab.worker(agent))
        yield await left_alone(lab)


async def left_alone(lab: Lab) -> RunHandle:
    """Has another process run the workflow, and kills it."""
    peer = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.workflow_peer",
        lab.client.service_client.config.target_host,
        lab.settings.temporal_task_queue,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    try:
        assert peer.stdout is not None
        assert await peer.stdout.readline() == b"serving\n"
        run = await lab.holdfast.start("speaker", "Speak.")
        await eventually(lambda: waits_for(lab, run, "tool.listen"))
    finally:
        peer.kill()
        await peer.wait()
    return run


async def waits_for(lab: Lab, run: RunHandle, *activities: str) -> bool:
    """Whether these calls are all that a run has under way, with no workflow task to come."""
    description = (await lab.client.get_workflow_handle(run.id).describe()).raw_description
    pending = [each.activity_type.name for each in description.pending_activities]
    return pending == list(activities) and not description.HasField("pending_workflow_task")


@asynccontextmanager
async def new_worker(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Serves workflows alone."""
    async with AsyncExitStack() as stack:
        with monkeypatch.context() as patch:
            patch.setattr(worker, "build_activities", lambda _: [])
            await stack.enter_async_context(lab.worker(max_cached_workflows=100))
        yield


async def test_a_query_takes_no_run_further(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A query does not advance a run beyond its history."""
    heard = asyncio.Event()
    async with orphan(lab, speaker(heard), monkeypatch) as run:
        query = asyncio.create_task(lab.client.get_workflow_handle(run.id).query("status"))
        await asyncio.sleep(0)
        async with new_worker(lab, monkeypatch):  # the query waits for the one that was killed, and so will the task
            heard.set()
            with pytest.raises(WorkflowQueryFailedError, match=NOT_YET):
                await query
            assert (await run.status()).tool_calls == 1
            await run.result(60)
            entries = [entry async for entry in run.entries()]
            assert entries == await lab.entries(run.id)
            await lab.assert_mirrored(run.id)


async def test_a_closed_run_is_read_completely(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that a terminated run recorded can be read."""
    heard = asyncio.Event()
    async with orphan(lab, speaker(heard), monkeypatch) as run:
        heard.set()
        await eventually(lambda: has_ended(lab, run, "tool.listen"))
        await lab.client.get_workflow_handle(run.id).terminate("enough")
        async with new_worker(lab, monkeypatch):
            assert (await run.status()).tool_calls == 1
            entries = [entry async for entry in run.entries()]
            assert contents(entries)[-1] == ("tool", "a knock")
            assert entries == await lab.entries(run.id)
            snapshot = await TemporalRunLog(lab.client).snapshot(run.id)
            assert snapshot.run.summary.status == RunStatus.TERMINATED
            assert snapshot.run.head == entries[-1].ref


async def has_ended(lab: Lab, run: RunHandle, activity: str) -> bool:
    """Whether a call's result is in history."""
    description = (await lab.client.get_workflow_handle(run.id).describe()).raw_description
    return activity not in [each.activity_type.name for each in description.pending_activities]


async def test_runs_that_are_asked_from_their_start_are_mirrored_as_they_replay(lab: Lab) -> None:
    """A query in a run's first workflow task may divide it; what the run records does not depend on that."""
    lab.server.respond = lambda _request: Reply(text="Hello.")
    async with lab.worker(Agent(name="talker"), max_cached_workflows=100):

        async def asked() -> RunHandle:
            run = await lab.holdfast.start("talker", "Talk.")

            async def has_ended() -> bool:
                return (await run.status()).status.is_final

            await eventually(has_ended)
            return run

        for _ in range(ROUNDS):
            for run in await asyncio.gather(*(asked() for _ in range(RUNS))):
                await lab.assert_mirrored(run.id)


async def test_updates_are_timed_from_the_start_of_a_run(lab: Lab) -> None:
    """Search attributes are updated a second after the start, however late the first workflow task was.

    The time of that task is another one in a replay if a query divides the task, so that nothing may depend on it.
    """
    heard = asyncio.Event()
    heard.set()
    lab.server.call_tools(("listen", {}))
    lab.server.say("Done.")
    handle = await lab.holdfast.start("speaker", "Speak.")
    started = (await lab.client.get_workflow_handle(handle.id).describe()).start_time
    await asyncio.sleep((started - datetime.now(UTC)).total_seconds() + 1.1)
    async with lab.worker(speaker(heard), max_cached_workflows=100):
        assert (await handle.result(60)).content == "Done."
        history = await lab.client.get_workflow_handle(handle.id).fetch_history()
        await assert_replays(lab, handle)
    kinds = {EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES, EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED}
    steps = [
        event.activity_task_scheduled_event_attributes.activity_type.name or "upsert"
        for event in history.events
        if event.event_type in kinds
    ]
    assert steps[:5] == ["upsert", "model.call", "tool.listen", "upsert", "model.call"]
