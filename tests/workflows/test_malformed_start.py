"""Malformed inputs from Temporal's UI: the run fails with a message that says what is wrong."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowFailureError
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from holdfast import Agent, RunStatus
from tests.support.lab import Lab

agent = Agent(name="known", system_prompt="You are known.")
BROKEN_JSON = RawValue(Payload(metadata={"encoding": b"json/plain"}, data=b"{broken"))
UNKNOWN_ENCODING = RawValue(Payload(metadata={"encoding": b"binary/strange"}, data=b"\x00"))
FORGED = {
    "chain": "c",
    "previous": "p",
    "plan": {"spec": {"name": "known"}, "timeout": 60, "expected_model": "m", "workspace": "/root/.ssh"},
    "head": {"seq": 4, "digest": "d"},
    "next_message": 3,
    "turns": 1,
    "tool_calls": 1,
    "usage": {},
    "output": "forged",
    "model": None,
    "files": [],
    "started_at": "2026-01-01T00:00:00Z",
}


@dataclass(frozen=True)
class Start:
    name: str
    args: list[Any]
    words: list[str]
    type: str = "InvalidRunRequest"
    workflow: str = "AgentRun"


STARTS = [
    Start("nothing", [], ["no input", '{"agent": "researcher"']),
    Start("null", [None], ["the input"]),
    Start("text", ["researcher"], ["the input", "researcher"]),
    Start("list", [[1, 2]], ["the input"]),
    Start("missing input", [{"agent": "known"}], ["input: is missing"]),
    Start("empty input", [{"agent": "known", "input": ""}], ["input: "]),
    Start("wrong type", [{"agent": "known", "input": 7}], ["input: ", "7"]),
    Start("unknown field", [{"agent": "known", "input": "x", "inptu": "y"}], ["inptu"]),
    Start(
        "unknown field of the agent",
        [{"agent": {"name": "a", "system_promt": "x"}, "input": "x"}],
        ["agent.system_promt"],
    ),
    Start("negative limit", [{"agent": "known", "input": "x", "max_turns": -1}], ["max_turns"]),
    Start(
        "a folder that is not for runs",
        [{"agent": "known", "input": "x", "workspace": "/root/.ssh"}],
        ["'/root/.ssh'", "set WORKSPACE_ROOTS"],
    ),
    Start("too large", [{"agent": "known", "input": "x" * 600_000}], ["600,000 bytes"]),
    Start("a forged state", [{"agent": "known", "input": "x", "carried": FORGED}], ["`carried`", "continue as new"]),
    Start("broken JSON", [BROKEN_JSON], ["Invalid JSON"]),
    Start("unknown encoding", [UNKNOWN_ENCODING], ["cannot be read"]),
    Start(
        "unknown agent",
        [{"agent": "knwon", "input": "x", "timeout": 1}],
        ["'knwon'", "known", "HOLDFAST_AGENTS"],
        "UnknownAgent",
    ),
    Start("unknown workflow", ["x"], ["'AgentRum'", "AgentRun"], "UnknownWorkflowType", "AgentRum"),
    Start(
        "a tool that no worker serves",
        [{"agent": {"name": "odd", "tools": [{"name": "t", "activity": "tool.t"}]}, "input": "x", "timeout": 1}],
        ["'odd'", "t", "HOLDFAST_AGENTS"],
        "UnknownAgent",
    ),
]


@pytest.mark.parametrize("start", STARTS, ids=lambda start: start.name)
async def test_a_malformed_start_fails_in_plain_words(lab: Lab, start: Start) -> None:
    """A malformed input fails the workflow with a reason, without retries."""
    async with lab.worker(agent):
        handle = await lab.client.start_workflow(
            start.workflow, args=start.args, id=f"malformed-{uuid.uuid4()}", task_queue=lab.settings.temporal_task_queue
        )
        with pytest.raises(WorkflowFailureError) as failure:
            await handle.result()
    cause = failure.value.cause
    assert isinstance(cause, ApplicationError)
    assert cause.type == start.type
    for words in start.words:
        assert words in cause.message


async def test_two_arguments_fail_too(lab: Lab) -> None:
    """A start with two arguments fails in Temporal's words."""
    async with lab.worker(agent):
        with pytest.raises(WorkflowFailureError):
            await lab.client.execute_workflow(
                "AgentRun", args=["a", "b"], id=f"two-{uuid.uuid4()}", task_queue=lab.settings.temporal_task_queue
            )


async def test_the_client_tells_of_it_as_of_any_failed_run(lab: Lab) -> None:
    """The client reports such a run as failed, with the reason."""
    async with lab.worker(agent):
        handle = await lab.holdfast.start("unknwon", "Go.", timeout=1)
        result = await handle.result(60)
        listed = [run.status async for run in lab.holdfast.list(agent="unknwon")]
    assert (result.success, result.status) == (False, RunStatus.FAILED)
    assert "unknwon" in (result.error or "")
    assert RunStatus.FAILED in listed


@pytest.mark.parametrize("args", [[], [{}], [None], ["no such run"]], ids=["nothing", "object", "null", "no run"])
async def test_the_mirrors_catch_up_does_not_hang_either(lab: Lab, args: list[Any]) -> None:
    """A malformed start of the mirror's catch-up fails too."""
    async with lab.worker(agent):
        handle = await lab.client.start_workflow(
            "MirrorCatchUp", args=args, id=f"catch-up-{uuid.uuid4()}", task_queue=lab.settings.temporal_task_queue
        )
        with pytest.raises(WorkflowFailureError):
            await asyncio.wait_for(handle.result(), 20)
