"""A run of a thousand turns: several executions, one log."""

from __future__ import annotations

import pytest
from temporalio.api.enums.v1 import TimeoutType

from holdfast import RunHandle
from holdfast.storage.mirror import open_store
from holdfast.storage.mirror.memory import MemoryStore
from holdfast.testing import ChatRequest, Reply
from tests.support.lab import Lab
from tests.support.many_turns import walk, walker


async def assert_made_once(lab: Lab, run: RunHandle, calls: int) -> None:
    """Checks that no model call was made twice, but those in flight that a busy machine kept from their heartbeats."""
    if repeated := len(lab.server.requests) - calls:
        assert 0 < repeated <= await lost_attempts(lab, run)


async def lost_attempts(lab: Lab, run: RunHandle) -> int:
    """How many attempts of calls Temporal has given up, as their heartbeats came too late."""
    lost = 0
    description = (await lab.client.get_workflow_handle(run.id).describe()).raw_description
    execution = description.workflow_execution_info.first_run_id
    while execution:
        events = lab.client.get_workflow_handle(run.id, run_id=execution).fetch_history_events()
        async for event in events:
            started = event.activity_task_started_event_attributes
            if started.last_failure.timeout_failure_info.timeout_type == TimeoutType.TIMEOUT_TYPE_HEARTBEAT:
                lost += started.attempt - 1
            execution = event.workflow_execution_continued_as_new_event_attributes.new_execution_run_id
    return lost


async def assert_whole(lab: Lab, turns: int, timeout: float = 600) -> None:
    """Has a run of so many turns played, and checks everything that it says of itself."""
    lab.server.respond = walk(turns)
    store = open_store("mem://")
    try:
        async with lab.worker(walker, store=store, max_cached_workflows=100):
            handle = await lab.holdfast.start("walker", "Walk.", timeout=timeout)
            result = await handle.result(timeout)
            assert result.content == f"walked {turns - 1} steps"
            assert result.usage.requests == turns
            await assert_made_once(lab, handle, turns)
            description = await lab.client.get_workflow_handle(handle.id).describe()
            assert description.run_id != description.raw_description.workflow_execution_info.first_run_id
            messages = [message async for message in handle.transcript()]
            assert [message.seq for message in messages] == list(range(2 * turns + 1))
            assert [m.content for m in messages if m.role == "tool"] == [f"step {n}" for n in range(turns - 1)]
            late = [message async for message in handle.transcript(after=2 * turns - 2)]
            assert late == messages[-2:]
            await lab.assert_mirrored(handle.id, store)
            assert await store.messages(handle.id, limit=10 * turns) == messages
    finally:
        await store.close()


async def test_a_run_of_several_executions_is_whole(short_histories: Lab) -> None:
    """A run that continues as new several times keeps one log, one transcript and one mirror, without a gap."""
    await assert_whole(short_histories, 150)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_thousand_turns(lab: Lab) -> None:
    """A run of a thousand turns completes on a server with default limits, and is whole."""
    await assert_whole(lab, 1000)


@pytest.mark.slow
@pytest.mark.timeout(7200)
async def test_10000_turns(lab: Lab) -> None:
    """A run of ten thousand turns completes on a server with default limits, and is whole."""
    await assert_whole(lab, 10_000, timeout=6_000)


async def test_a_mirror_that_is_lost_late_comes_back_from_history(short_histories: Lab) -> None:
    """A mirror lost after continue-as-new is restored from the history of all executions."""
    lab, turns, lost = short_histories, 80, 70
    store = MemoryStore()

    def lose(request: ChatRequest) -> Reply:
        if len(lab.server.requests) == lost:
            MemoryStore.__init__(store)
        return walk(turns)(request)

    lab.server.respond = lose
    async with lab.worker(walker, store=store, max_cached_workflows=100):
        handle = await lab.holdfast.start("walker", "Walk.", timeout=300)
        result = await handle.result(200)
        assert result.content == f"walked {turns - 1} steps"
        await assert_made_once(lab, handle, turns)
        description = await lab.client.get_workflow_handle(handle.id).describe()
        assert description.run_id != description.raw_description.workflow_execution_info.first_run_id
        await lab.assert_mirrored(handle.id, store)


async def test_a_new_worker_with_an_empty_store_continues_after_continue_as_new(short_histories: Lab) -> None:
    """A new worker with an empty store fetches the transcript from history and resumes."""
    lab, turns, moved = short_histories, 70, 60

    def refuse_once(request: ChatRequest) -> Reply:
        if len(lab.server.requests) == moved:
            return Reply.error(503, headers={"Retry-After": "2"})
        return walk(turns)(request)

    lab.server.respond = refuse_once
    async with lab.worker(walker, max_cached_workflows=100):
        handle = await lab.holdfast.start("walker", "Walk.", timeout=300)
        await lab.server.wait_for_requests(moved, 200)
    store = MemoryStore()
    async with lab.worker(walker, store=store, max_cached_workflows=100):
        result = await handle.result(200)
        assert result.content == f"walked {turns - 1} steps"
        await assert_made_once(lab, handle, turns + 1)
        await lab.assert_mirrored(handle.id, store)
