"""A query that comes to a new worker before the workflow task that the old one did not live to see."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowHandle, WorkflowQueryFailedError

import worker
from holdfast import Agent, RunHandle, RunStatus, tool
from holdfast.errors import NOT_YET
from holdfast.run_log import TemporalRunLog
from holdfast.testing import ChatToolCall, Reply
from tests.lab import Lab, contents, eventually

ROOT = Path(__file__).parents[2]
ANSWER_TIME = 2.5  # seconds, in which the worker is killed and the query begun


@tool(read_only=True)
async def listen() -> str:
    """Listens."""
    return "nothing"


speaker = Agent(name="speaker", system_prompt="You speak.", tools=[listen])


@dataclass
class Orphan:
    """A run whose worker was killed, and that has had a model's answer since."""

    run: RunHandle
    query: asyncio.Task[Any]
    """Begun before the answer, and waiting for a worker."""


async def orphan(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Orphan:
    """A run that nobody serves any more: its workflow's worker was killed, that of its activities has ended."""
    lab.server.reply(Reply(tool_calls=[ChatToolCall("listen", {})], delay=ANSWER_TIME))
    lab.server.reply(Reply(text="Said."))
    monkeypatch.setattr(worker, "WORKFLOWS", [])
    async with lab.worker(speaker):
        monkeypatch.undo()
        peer = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.workflows.workflow_peer",
            lab.client.service_client.config.target_host,
            lab.settings.temporal_task_queue,
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        try:
            assert peer.stdout is not None
            assert await peer.stdout.readline() == b"serving\n"
            run = await lab.holdfast.start("speaker", "Speak.")
            await lab.server.wait_for_requests(1, 60)
            await eventually(lambda: is_mirrored(lab, run))
        finally:
            peer.kill()
            await peer.wait()
        handle = lab.client.get_workflow_handle(run.id)
        query = asyncio.create_task(handle.query("status"))
        await eventually(lambda: has_answered(handle))
        return Orphan(run, query)


async def is_mirrored(lab: Lab, run: RunHandle) -> bool:
    """Whether the append of the first entries is in history: nothing but the model's answer is to come."""
    pending = (await lab.client.get_workflow_handle(run.id).describe()).raw_description.pending_activities
    return await lab.store.head(run.id) is not None and [each.activity_type.name for each in pending] == ["model.call"]


async def has_answered(handle: WorkflowHandle[Any, Any]) -> bool:
    """Whether the model's answer is in history."""
    return not (await handle.describe()).raw_description.pending_activities


async def test_a_query_takes_no_run_further(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken: the run goes on with other times than its replay has, and its mirror does not fit its history."""
    left = await orphan(lab, monkeypatch)
    async with lab.worker(speaker, max_cached_workflows=100):
        with pytest.raises(WorkflowQueryFailedError, match=NOT_YET):
            await left.query
        assert (await left.run.status()).turn == 1
        await left.run.result(60)
        entries = [entry async for entry in left.run.entries()]
        assert entries == await lab.entries(left.run.id)
        await lab.assert_mirrored(left.run.id)


async def test_a_closed_run_is_told_whole(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken: an answer that was paid for is lost where the run was terminated before a worker could see it."""
    left = await orphan(lab, monkeypatch)
    left.query.cancel()
    await lab.client.get_workflow_handle(left.run.id).terminate("enough")
    async with lab.worker(speaker, max_cached_workflows=100):
        assert (await left.run.status()).turn == 1
        entries = [entry async for entry in left.run.entries()]
        assert [role for role, _ in contents(entries)] == ["system", "user", "assistant"]
        assert entries == await lab.entries(left.run.id)
        standing = await TemporalRunLog(lab.client).standing(left.run.id)
        assert standing.run.summary.status == RunStatus.TERMINATED
        assert standing.run.head == entries[-1].ref
