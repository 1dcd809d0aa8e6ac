"""Agents and runs that tests fork, and what their models see."""

from __future__ import annotations

from pathlib import Path

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest

from holdfast import Agent, AgentResult, RunHandle, ToolContext, tool
from holdfast.client.holdfast import Holdfast
from holdfast.errors import ErrorType, RunNotFound
from holdfast.testing import ChatToolCall, Reply
from holdfast.types import RunId
from tests.support.lab import Lab, eventually


@tool(read_only=True)
async def look(place: str) -> str:
    """Looks at a place."""
    return f"{place}: nothing"


@tool
async def write(name: str, context: ToolContext) -> str:
    """Writes a file."""
    context.workspace.mkdir(parents=True, exist_ok=True)
    (context.workspace / name).write_text(f"by {context.run_id}")
    return name


@tool(read_only=True)
async def read(name: str, context: ToolContext) -> str:
    """Reads a file."""
    return (context.workspace / name).read_text()


scout = Agent(name="scout", system_prompt="You scout.", tools=[look], max_turns=5)
writer = Agent(name="writer", system_prompt="You write.", tools=[write, read])


def forkable(lab: Lab) -> Lab:
    """The lab, whose client reads its mirror, as that of a program does."""
    lab.holdfast = Holdfast(lab.client, task_queue=lab.settings.temporal_task_queue, mirror=lambda: lab.store)
    return lab


def scouting(answer: str = "Nothing there.") -> list[Reply]:
    """Two turns that look, then the answer."""
    return [
        Reply(text="First.", tool_calls=[ChatToolCall("look", {"place": "north"}, id="call_n")]),
        Reply(tool_calls=[ChatToolCall("look", {"place": "south"}, id="call_s")]),
        Reply(text=answer),
    ]


async def scouted(lab: Lab) -> RunHandle:
    """An ended run of three turns."""
    for reply in scouting():
        lab.server.reply(reply)
    run = await lab.holdfast.start("scout", "Scout the area.", tags={"team": "a"})
    await run.result()
    await lab.assert_mirrored(run.id)
    return run


async def gone(lab: Lab, run_id: RunId) -> None:
    """Has Temporal delete a run, as it does when its retention has passed."""
    await lab.client.workflow_service.delete_workflow_execution(
        DeleteWorkflowExecutionRequest(
            namespace=lab.client.namespace, workflow_execution=WorkflowExecution(workflow_id=run_id)
        )
    )

    async def is_gone() -> bool:
        try:
            await lab.holdfast.handle(run_id).ended()
        except RunNotFound:
            return True
        return False

    await eventually(is_gone)


def file_of(result: AgentResult) -> Path:
    """The file that a run has written."""
    assert result.run.workspace is not None
    return Path(result.run.workspace, "a.txt")


async def why_refused(run: RunHandle) -> str:
    """Why a run could not start."""
    refused = (await run.result(60)).run
    assert refused.error is not None
    assert refused.error.type == ErrorType.INVALID_REQUEST
    return refused.error.message


def sent(lab: Lab) -> list[tuple[str, str]]:
    """What the newest request shows the model."""
    return [(message["role"], message["content"] or "") for message in lab.server.requests[-1].messages]
