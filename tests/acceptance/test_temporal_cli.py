"""Temporal's own command line, which needs no Python: it starts, queries, controls and cancels runs."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from typing import Any

import pytest

from holdfast import Agent, Entry, RunHandle, RunStatus, TextDelta, tool
from holdfast.commands import COMMANDS
from holdfast.stack.binary import find_server
from holdfast.testing import Reply
from holdfast.tools import ask_human
from tests.support.crash_agents import clerk
from tests.support.lab import SOON, Lab, contents, eventually

LONG = "This is the beginning of a very long answer that never comes to its end."


@tool(approval="always")
async def pay(amount: int) -> str:
    """Pays."""
    return f"paid {amount}"


payer = Agent(name="payer", system_prompt="You pay.", tools=[pay, ask_human])

REFUSED = [
    ("send", "", 'send: text is missing; it takes {"text": '),
    ("send", "7", "send: 7 is not a JSON object; it takes"),
    ("send", '{"text": " "}', "text: it must not be blank"),
    ("send", '{"txt": "x"}', "txt: is not a known field"),
    ("send", '{"text": "x", "policy": "stear"}', "must be 'steer', 'enqueue', 'interrupt' or 'reject'"),
    ("sned", '"x"', "there is no command 'sned'; the commands are answer, approve,"),
    ("pause", '"x"', 'pause: "x" is not a JSON object'),
    ("resume", "", "the run is not paused; it is waiting"),
    ("approve", '{"call": 7}', "call: must be text (got 7)"),
    ("approve", '"1/call_9"', "no call '1/call_9' waits for a person; those that wait: 1/call_2_0, 1/call_2_1"),
    ("approve", '{"call": "call_2_0", "edit": {"amout": 3}}', "amout is not known; known: amount"),
    ("deny", "", 'call is missing; it takes {"call": "2/call_1", "reason": "…"}'),
    ("answer", '"other"', "the answer must be one of 'private', 'business', not 'other'"),
    (
        "answer",
        '{"question": "x", "text": "private"}',
        "no question 'x' waits for a person; those that wait: 1/call_2_2",
    ),
    ("raise_budget", "", "name the limit to raise, and its new value: cost_usd, tokens"),
    ("raise_budget", '{"tokens": 5}', "is 100000 already; name a higher one"),
    ("create_checkpoint", '{"name": ""}', "name: must not be empty"),
    ("restore", '"nowhere"', "has no checkpoint 'nowhere'"),
    ("compact", '{"focus": 7}', "focus: must be text (got 7)"),
    ("resolve", '{"call": "x", "happened": "maybe"}', "happened: must be true or false"),
    ("event", '{"wait": "x"}', "the run does not wait for this event"),
]
"""Updates that are refused, and words of what the person is told."""
DONE = [
    ("send", '"Hurry."'),
    ("pause", '{"by": "Ada"}'),
    ("approve", '{"call": "1/call_2_0", "edit": {"amount": 400}, "by": "Ada"}'),
    ("deny", '{"call": "1/call_2_1", "reason": "too little"}'),
    ("answer", '"business"'),
    ("resume", ""),
    ("raise_budget", '{"tokens": 500000}'),
    ("create_checkpoint", '"before the answer"'),
    ("compact", ""),
    ("restore", '"before the answer"'),
    ("interrupt", '{"text": "Only the sum."}'),
]
"""Updates that are carried out."""


class TemporalCli:
    """The program `temporal`, pointed at the tests' server."""

    def __init__(self, program: str, lab: Lab) -> None:
        self._program = program
        self._lab = lab

    async def call(self, *words: str) -> str:
        """Runs `temporal workflow …` and returns its output."""
        code, output, complaints = await self._run(*words)
        assert code == 0, complaints
        return output

    async def _run(self, *words: str) -> tuple[int | None, str, str]:
        address = self._lab.client.service_client.config.target_host
        process = await asyncio.create_subprocess_exec(
            self._program, "workflow", *words, "--address", address, stdout=PIPE, stderr=PIPE
        )
        output, complaints = await process.communicate()
        return process.returncode, output.decode(), complaints.decode()

    async def update(self, run: RunHandle, name: str, given: str = "", *, id: str = "") -> str:  # noqa: A002
        """Sends an update, whose argument is this JSON, and returns its result or why it was refused."""
        options = [*(("--input", given) if given else ()), *(("--update-id", id) if id else ())]
        _, output, complaints = await self._run(
            "update", "execute", "--workflow-id", run.id, "--name", name, *options, "--output", "json"
        )
        return output + complaints.replace('\\"', '"')

    async def signal(self, run: RunHandle, name: str, given: str = "") -> None:
        """Sends a signal, whose argument is this JSON."""
        await self.call("signal", "--workflow-id", run.id, "--name", name, *(("--input", given) if given else ()))

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
    """The command line, with a worker that serves the agents."""
    server = await find_server(print)
    async with lab.worker(clerk, payer, max_cached_workflows=100):
        yield TemporalCli(str(server.path), lab)


async def test_start_and_ask(cli: TemporalCli, lab: Lab) -> None:
    """Temporal's own command line can start and query runs with plain names and JSON."""
    lab.server.call_tools(("note", {"number": 7}))
    lab.server.say("Noted.")
    run = await cli.start({"agent": "clerk", "input": "Note 7."})
    result = await run.result(60)
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
    result = await run.result(60)
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
            "'clerc' not found (did you mean 'clerk'?); known: clerk, payer",
        ),
        ("AgentRun", {"agent": "clerk", "inptu": "Note 7."}, "inptu"),
        ("AgentRum", {"agent": "clerk", "input": "Note 7."}, "unknown workflow type 'AgentRum'"),
    ):
        run = await cli.start(request, name=name)
        assert (await run.result(60)).status == RunStatus.FAILED
        shown = await cli.call("show", "--workflow-id", run.id)
        assert "WorkflowExecutionFailed" in shown
        assert words in " ".join(shown.split())


@pytest.fixture
async def waiting(cli: TemporalCli, lab: Lab) -> RunHandle:
    """A run that waits for two approvals and an answer."""
    question = {"question": "Which account?", "options": ["private", "business"]}
    lab.server.call_tools(("pay", {"amount": 500}), ("pay", {"amount": 50}), ("ask_human", question))
    lab.server.say("Done.")
    lab.server.say("Done.")
    run = await cli.start({"agent": "payer", "input": "Pay.", "budget": {"tokens": 100_000}})

    async def waits() -> bool:
        return len((await run.status()).waits_for) == 3

    await eventually(waits)
    return run


async def test_commands_as_updates(cli: TemporalCli, lab: Lab, waiting: RunHandle) -> None:
    """Every command can be sent as an update with plain JSON; one that is refused says why, and has no effect."""
    before = await lab.entries(waiting.id)
    for name, given, words in REFUSED:
        told = await cli.update(waiting, name, given)
        assert words in told, (name, given)
        assert "File " not in told, "no stack trace"
    assert await lab.entries(waiting.id) == before
    lab.server.hold()
    for name, given in DONE:
        first = await cli.update(waiting, name, given, id=f"{name}-1")
        assert f"{name}-1" in first, first
        again = await cli.update(waiting, "send", f'{{"text": "another", "id": "{name}-1"}}')
        assert "was used for a command with other content; use a new id" in again
    lab.server.release()
    assert {name for name, *_ in (*REFUSED, *DONE)} - {"sned"} == {command.NAME for command in COMMANDS}
    assert (await waiting.result(60)).status == RunStatus.COMPLETED
    assert "workflow execution already completed" in await cli.update(waiting, "pause")


async def test_commands_as_signals(cli: TemporalCli, lab: Lab, waiting: RunHandle) -> None:
    """A signal without an argument, with a text or with JSON is carried out; a wrong one is recorded with why."""
    for name, given in (
        ("pause", ""),
        ("send", '"Hurry."'),
        ("send", '{"text": " "}'),
        ("approve", '"1/call_2_0"'),
        ("approve", "[1]"),
        ("sned", '{"text": "x"}'),
        ("deny", '{"call": "1/call_2_1", "reason": "too little"}'),
        ("answer", '"business"'),
        ("resume", ""),
    ):
        await cli.signal(waiting, name, given)
    assert (await waiting.result(60)).status == RunStatus.COMPLETED
    entries = await lab.entries(waiting.id)
    assert [entry.data["signal"] for entry in refused(entries)] == ["send", "approve", "sned"]
    assert "there is no command 'sned'" in refused(entries)[-1].data["reason"]
    assert ("user", "Hurry.") in contents(entries)


def refused(entries: list[Entry]) -> list[Entry]:
    """The entries of signals that were refused."""
    return [entry for entry in entries if entry.kind == "refused"]
