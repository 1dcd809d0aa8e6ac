"""Temporal's own command line, which needs no Python: it starts, queries and cancels runs."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from typing import Any

import pytest

from holdfast import RunHandle, RunStatus, TextDelta
from holdfast.stack.binary import find_server
from holdfast.testing import Reply
from tests.support.crash_agents import clerk
from tests.support.lab import Lab, contents

LONG = "This is the beginning of a very long answer that never comes to its end."
SOON = 3.0  # seconds from a cancel to the closed connection


class TemporalCli:
    """The program `temporal`, pointed at the tests' server."""

    def __init__(self, program: str, lab: Lab) -> None:
        self._program = program
        self._lab = lab

    async def call(self, *words: str) -> str:
        """Runs `temporal workflow …` and returns its output."""
        address = self._lab.client.service_client.config.target_host
        process = await asyncio.create_subprocess_exec(
            self._program, "workflow", *words, "--address", address, stdout=PIPE, stderr=PIPE
        )
        output, complaints = await process.communicate()
        assert process.returncode == 0, complaints.decode()
        return output.decode()

    async def start(self, request: object, *, name: str = "AgentRun") -> RunHandle:
        """Starts a workflow with this input."""
        run_id = f"cli-{uuid.uuid4().hex[:8]}"
        queue = self._lab.settings.temporal_task_queue
        where = ("--type", name, "--task-queue", queue, "--workflow-id", run_id)
        await self.call("start", *where, "--input", json.dumps(request))
        return self._lab.holdfast.handle(run_id)

    async def query(self, run: RunHandle, name: str, *argument: int) -> Any:
        """Asks a run."""
        given = [word for value in argument for word in ("--input", json.dumps(value))]
        shown = await self.call("query", "--workflow-id", run.id, "--type", name, "--output", "json", *given)
        [answer] = json.loads(shown)["queryResult"]
        return answer


@pytest.fixture
async def cli(lab: Lab) -> AsyncIterator[TemporalCli]:
    """The command line, with a worker that serves the agent `clerk`."""
    server = await find_server(print)
    async with lab.worker(clerk, max_cached_workflows=100):
        yield TemporalCli(str(server.path), lab)


async def test_start_and_ask(cli: TemporalCli, lab: Lab) -> None:
    """Temporal's own command line can start and query runs with plain names and JSON."""
    lab.server.call_tools(("note", {"number": 7}))
    lab.server.say("Noted.")
    run = await cli.start({"agent": "clerk", "input": "Note 7."})
    result = await run.result(30)
    assert (result.content, result.status) == ("Noted.", RunStatus.COMPLETED)
    status = await cli.query(run, "status")
    assert (status["status"], status["turn"], status["output"]) == ("completed", 2, "Noted.")
    transcript = await cli.query(run, "transcript")
    roles = [message["role"] for message in transcript["messages"]]
    assert roles == ["system", "user", "assistant", "tool", "assistant"]
    later = await cli.query(run, "transcript", 2)
    assert later["messages"] == transcript["messages"][3:]
    entries = await cli.query(run, "entries")
    shown = [(entry["seq"], entry["digest"]) for entry in entries["entries"]]  # empty lists it shows as null
    assert shown == [(entry.seq, entry.digest) for entry in await lab.entries(run.id)]
    last = entries["entries"][-1]["seq"]
    assert [entry["kind"] for entry in (await cli.query(run, "entries", last - 1))["entries"]] == ["finish"]
    assert (await cli.query(run, "usage"))["requests"] == 2


async def test_cancel_during_streaming(cli: TemporalCli, lab: Lab) -> None:
    """`temporal workflow cancel` closes the provider's stream and keeps the text received so far."""
    lab.server.reply(Reply(LONG, hang_after=1))
    run = await cli.start({"agent": "clerk", "input": "Talk."})
    async for event in run.events():
        if isinstance(event, TextDelta):
            break
    asked = time.monotonic()
    await cli.call("cancel", "--workflow-id", run.id)
    assert await lab.server.wait_disconnected(0) - asked < SOON
    result = await run.result(30)
    assert result.status == RunStatus.CANCELLED
    assert result.content
    assert LONG.startswith(result.content.rstrip())
    assert contents(await lab.entries(run.id))[-1] == ("assistant", result.content)
    assert (await cli.query(run, "status"))["status"] == "cancelled"
    assert "CANCELED" in (await cli.call("describe", "--workflow-id", run.id)).upper()


async def test_a_wrong_start_says_what_is_wrong(cli: TemporalCli) -> None:
    """A malformed input fails the workflow, and `temporal workflow show` says what is wrong."""
    for name, request, words in (
        (
            "AgentRun",
            {"agent": "clerc", "input": "Note 7.", "timeout": 1},
            "'clerc' not found (did you mean 'clerk'?); known: clerk",
        ),
        ("AgentRun", {"agent": "clerk", "inptu": "Note 7."}, "inptu"),
        ("AgentRum", {"agent": "clerk", "input": "Note 7."}, "unknown workflow type 'AgentRum'"),
    ):
        run = await cli.start(request, name=name)
        assert (await run.result(30)).status == RunStatus.FAILED
        shown = await cli.call("show", "--workflow-id", run.id)
        assert "WorkflowExecutionFailed" in shown
        assert words in " ".join(shown.split())
