"""Workflow tasks that a heartbeat or a query divides while a local activity runs in them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHandle
from typing_extensions import override

from holdfast import Agent, names
from holdfast.activities.run import RunActivities
from holdfast.ports import Store
from holdfast.protocol import RunRequest
from holdfast.types import EntryBatch, TranscriptRef
from holdfast.workflows import local, options
from holdfast.workflows.run.preparation import Preparation
from tests.support.lab import Lab, eventually
from tests.support.switched_store import SwitchedStore

TASK = timedelta(seconds=2)  # of a workflow task; Temporal divides it by a heartbeat after 1.6 s
PATIENT = options.LocalActivityOptions(
    start_to_close_timeout=timedelta(seconds=60), retry_policy=options.LOCAL_ATTEMPT["retry_policy"]
)
STARTED = EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED

Workflow = WorkflowHandle[Any, Any]


async def started(lab: Lab, request: RunRequest) -> Workflow:
    """Starts a run whose workflow tasks are divided soon."""
    queue = lab.settings.temporal_task_queue
    given = request.model_dump(mode="json", exclude_defaults=True)
    return await lab.client.start_workflow(
        names.AGENT_RUN, given, id=f"run-{queue}", task_queue=queue, task_timeout=TASK
    )


async def has_tasks(run: Workflow, count: int) -> bool:
    """Whether so many workflow tasks of a run have started."""
    return sum(event.event_type == STARTED for event in (await run.fetch_history()).events) >= count


async def assert_same_in_a_replay(lab: Lab, agent: Agent, run: Workflow, store: Store) -> None:
    """A worker that has nothing of a run in memory finds the entries that the mirror got from the first one."""
    async with lab.worker(agent, max_cached_workflows=100):
        await lab.assert_mirrored(run.id, store)


async def test_a_query_divides_the_first_task(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a run records behind its plan has the same time in each replay: the first status of a silent session."""
    talker, is_asked = Agent(name="talker"), threading.Event()
    find, progress = RunActivities._find, Preparation.progress

    async def found(*arguments: Any) -> Any:
        await asyncio.to_thread(is_asked.wait, 50)
        return await find(*arguments)

    def shown(preparation: Preparation) -> Any:
        is_asked.set()
        time.sleep(0.5)  # so that the plan is there when the answer ends the task, and the next task takes it
        return progress(preparation)

    monkeypatch.setattr(local, "LOCAL_ATTEMPT", PATIENT)
    monkeypatch.setattr(RunActivities, "_find", found)
    monkeypatch.setattr(Preparation, "progress", shown)
    async with lab.worker(talker, max_cached_workflows=100):
        run = await started(lab, RunRequest(agent="talker", input="", session=True))
        await eventually(lambda: has_tasks(run, 1))
        await run.query(names.QUERY_STATUS)
        await eventually(lambda: has_entries(lab, run, 3))
        assert await has_tasks(run, 3), "it was divided"
        at = [entry.at for entry in await lab.store.entries(run.id, limit=10)]
        assert at == sorted(at)
    await assert_same_in_a_replay(lab, talker, run, lab.store)


async def has_entries(lab: Lab, run: Workflow, count: int) -> bool:
    """Whether the mirror has so many entries of a run."""
    return len(await lab.store.entries(run.id, limit=count)) == count


class SlowStore(SwitchedStore):
    """A store that takes the end of a run only when this condition is true."""

    is_due: Callable[[], Awaitable[bool]]

    @override
    async def append(self, batch: EntryBatch) -> TranscriptRef:
        if batch.entries[-1].kind == "finish":
            await eventually(self.is_due, 50)
        return await super().append(batch)


async def test_a_heartbeat_divides_the_last_task(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of a run, and the reply that came with it, have the same time in each replay."""
    talker, store = Agent(name="talker"), SlowStore()
    lab.server.say("Hello.")
    monkeypatch.setattr(local, "LOCAL_ATTEMPT", PATIENT)
    async with lab.worker(talker, store=store, max_cached_workflows=100):
        run = await started(lab, RunRequest(agent="talker", input="Talk."))
        store.is_due = lambda: has_tasks(run, 3)
        await run.result()
    await assert_same_in_a_replay(lab, talker, run, store)
