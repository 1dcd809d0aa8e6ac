"""Runs with children that are reset in Temporal: before the start of a child, while it runs, and after its end."""

from __future__ import annotations

import uuid

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest

from holdfast import RunHandle, RunStatus
from holdfast.testing import Reply
from tests.support.lab import Lab, contents, eventually
from tests.support.moments import streaming
from tests.support.trees import LONG, Cast, agent, asks, assert_replays, exists

boss = agent("boss", agent("clerk"))
TWELVE = Reply("12")
CACHED = 100  # as in the other tests of children


async def reset(lab: Lab, run: RunHandle, before: str) -> None:
    """Resets a run to the workflow task that precedes the first event of a kind."""
    handle = lab.client.get_workflow_handle(run.id)
    task = 0
    async for event in handle.fetch_history_events():
        if event.event_type == EventType.Value(f"EVENT_TYPE_{before}"):
            break
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
            task = event.event_id
    await lab.client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=lab.client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=run.id, run_id=(await handle.describe()).run_id),
            reason="again",
            workflow_task_finish_event_id=task,
            request_id=str(uuid.uuid4()),
        )
    )


@pytest.mark.parametrize("before", ["START_CHILD_WORKFLOW_EXECUTION_INITIATED", "CHILD_WORKFLOW_EXECUTION_COMPLETED"])
async def test_reset_does_not_repeat_a_child_that_has_answered(lab: Lab, before: str) -> None:
    """A run that is reset to before the start of a child, or to before its end, takes the answer that there is."""
    Cast(lab, boss=[asks("clerk", "How many?"), Reply("One."), Reply("Two.")], clerk=TWELVE)
    async with lab.worker(boss, max_cached_workflows=CACHED):
        handle = await lab.holdfast.start("boss", "How many ropes?")
        assert (await handle.result(60)).content == "One."
        await reset(lab, handle, before)
        result = await handle.result(60)
        assert result.content == "Two."
        assert ("tool", "12") in contents(await lab.entries(handle.id))
        assert result.run.children[0].run == f"{handle.id}/1.0"
        assert result.run.tree_usage is not None
        clerks = [request for request in lab.server.requests if request.messages[0]["content"] == "clerk"]
        assert len(clerks) == 1
        await assert_replays(lab, handle)


async def test_reset_while_a_child_runs(lab: Lab) -> None:
    """The child continues, and answers the new execution; so does one that was started after the reset point."""
    for before in ("WORKFLOW_EXECUTION_FAILED", "START_CHILD_WORKFLOW_EXECUTION_INITIATED"):
        Cast(lab, boss=[asks("clerk", "?"), Reply("One.")], clerk=[Reply(LONG, hang_after=1), TWELVE])
        async with lab.worker(boss, max_cached_workflows=CACHED):
            handle = await lab.holdfast.start("boss", "How many ropes?")
            child = await exists(lab, f"{handle.id}/1.0")
            await streaming(child)
            await reset(lab, handle, before)

            async def is_reset(handle: RunHandle = handle) -> bool:
                return [each.run for each in (await handle.status()).children] == [f"{handle.id}/1.0"]

            await eventually(is_reset)
            await child.interrupt("Now.")
            assert (await handle.result(60)).content == "One."
            assert ("tool", "12") in contents(await lab.entries(handle.id))
            await assert_replays(lab, handle, child)


async def test_another_question_after_a_reset_is_another_child(lab: Lab) -> None:
    """If the model asks something else after the reset, the earlier child is cancelled, and another one is started."""
    Cast(
        lab,
        boss=[asks("clerk", "A?"), asks("clerk", "B?"), Reply("B.")],
        clerk=[Reply(LONG, hang_after=1), Reply("b")],
    )
    async with lab.worker(boss, max_cached_workflows=CACHED):
        handle = await lab.holdfast.start("boss", "Ask.")
        first = await exists(lab, f"{handle.id}/1.0")
        await streaming(first)
        await reset(lab, handle, "ACTIVITY_TASK_SCHEDULED")
        assert (await handle.result(60)).content == "B."
        assert (await first.result(60)).run.status == RunStatus.CANCELLED
        assert (await lab.holdfast.handle(f"{handle.id}/1.0-2").result(60)).content == "b"
