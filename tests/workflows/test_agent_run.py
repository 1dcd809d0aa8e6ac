"""The steps of a run, turn by turn, on a real server."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from holdfast import Agent, RunExists, RunStatus, ToolContext, UsageError, tool
from holdfast.testing import ChatToolCall, Reply
from holdfast.types import AgentSpec
from tests.support.lab import Lab, contents


@tool(read_only=True)
async def look_up(word: str) -> str:
    """Looks a word up.

    Args:
        word: what to look up.
    """
    return f"{word} means something"


@tool
def save(text: str, context: ToolContext) -> str:
    """Saves a text."""
    (context.workspace / "saved.txt").parent.mkdir(parents=True, exist_ok=True)
    (context.workspace / "saved.txt").write_text(text)
    return f"saved by {context.agent} in {threading.current_thread() is not threading.main_thread()}"


@tool
async def fail() -> str:
    """Fails."""
    raise RuntimeError("the disk is on fire")


reader = Agent(name="reader", system_prompt="You read.", tools=[look_up, save, fail], max_turns=6)


async def test_a_run_takes_turns_until_the_model_answers(lab: Lab, tmp_path: Path) -> None:
    """The model asks, the tools answer, the model concludes, and the log records all of it."""
    lab.server.call_tools(("look_up", {"word": "durable"}), text="Let me see.")
    lab.server.call_tools(("save", {"text": "durable means something"}))
    lab.server.say("It means something.")
    async with lab.worker(reader):
        handle = await lab.holdfast.start("reader", "What does durable mean?", workspace=tmp_path)
        result = await handle.result(60)
        assert (result.success, result.content) == (True, "It means something.")
        assert contents(await lab.entries(handle.id)) == [
            ("system", "You read."),
            ("user", "What does durable mean?"),
            ("assistant", "Let me see."),
            ("tool", "durable means something"),
            ("assistant", ""),
            ("tool", "saved by reader in True"),
            ("assistant", "It means something."),
        ]
        assert (tmp_path / "saved.txt").read_text() == "durable means something"
        await lab.assert_mirrored(handle.id)
        progress = await handle.status()
        assert (progress.status, progress.turn, progress.tool_calls) == (RunStatus.COMPLETED, 3, 2)
        assert [message.seq async for message in handle.transcript()] == list(range(7))
    sent = [[message["role"] for message in request.messages] for request in lab.server.requests]
    assert sent[2] == ["system", "user", "assistant", "tool", "assistant", "tool"]
    assert [entry["function"]["name"] for entry in lab.server.requests[0].body["tools"]] == ["look_up", "save", "fail"]


async def test_tools_of_a_turn_run_side_by_side(lab: Lab) -> None:
    """The tools of a turn run in parallel."""
    barrier = asyncio.Barrier(3)

    @tool(read_only=True)
    async def meet(number: int) -> str:
        """Waits for the others."""
        async with asyncio.timeout(10):
            await barrier.wait()
        return f"met {number}"

    lab.server.call_tools(*[("meet", {"number": number}) for number in range(3)])
    async with lab.worker(Agent(name="party", tools=[meet])):
        result = await lab.holdfast.run("party", "Meet.")
        assert result.success
        entries = await lab.entries(result.run_id)
    answers = {text for role, text in contents(entries) if role == "tool"}
    assert answers == {"met 0", "met 1", "met 2"}


async def test_a_tools_fault_is_data_for_the_model(lab: Lab) -> None:
    """Errors of tools, unknown tools and invalid arguments are reported to the model, and the run continues."""
    lab.server.call_tools(("fail", {}), ("look_down", {}), ("look_up", {"word": 3}), ("look_up", "{broken"))
    lab.server.say("I see.")
    async with lab.worker(reader):
        result = await lab.holdfast.run("reader", "Go.")
        entries = await lab.entries(result.run_id)
    assert result.success
    told = sorted(text for role, text in contents(entries) if role == "tool")
    assert all(text.startswith("error: ") for text in told)
    assert any("RuntimeError: the disk is on fire" in text for text in told)
    assert any("there is no tool 'look_down'; the tools are: fail, look_up, save" in text for text in told)
    assert sum("word" in text for text in told) >= 1


async def test_the_turn_limit_ends_a_run_that_goes_in_circles(lab: Lab) -> None:
    """A run ends at its turn limit."""
    lab.server.respond = lambda _request: Reply(tool_calls=[ChatToolCall("look_up", {"word": "again"})])
    async with lab.worker(reader):
        result = await lab.holdfast.run("reader", "Go round.", max_turns=3)
    assert (result.success, result.status) == (False, RunStatus.FAILED)
    assert "3 turns" in (result.error or "")
    assert len(lab.server.requests) == 3


async def test_the_time_limit_ends_a_run_in_good_order(lab: Lab) -> None:
    """At its time limit a run keeps the text received so far, and its log says why it ended."""
    lab.server.reply(Reply(text="one two three four five six seven eight nine ten", hang_after=1))
    async with lab.worker(reader):
        result = await lab.holdfast.run("reader", "Think.", timeout=2)
        assert result.status == RunStatus.TIMED_OUT
        assert result.content.startswith("one two")
        assert "time limit of 2 s" in (result.error or "")
        entries = await lab.entries(result.run_id)
        await lab.assert_mirrored(result.run_id)
    assert entries[-1].kind == "finish"
    assert entries[-1].data["result"]["status"] == "timed_out"


async def test_a_run_id_is_taken_once(lab: Lab) -> None:
    """A run id is an idempotency key: it starts one run."""
    async with lab.worker(reader):
        handle = await lab.holdfast.start("reader", "Go.", id=f"once-{lab.settings.temporal_task_queue}")
        with pytest.raises(RunExists, match="already"):
            await lab.holdfast.start("reader", "Go.", id=handle.id)
        await handle.result(60)
        with pytest.raises(RunExists, match="already"):
            await lab.holdfast.start("reader", "Go.", id=handle.id)


@pytest.mark.parametrize("wrong", ["", "   ", "x" * 600_000])
async def test_an_input_that_cannot_be_taken_is_refused_at_once(lab: Lab, wrong: str) -> None:
    """Empty inputs and those that Temporal cannot take are refused before the start."""
    with pytest.raises(UsageError):
        await lab.holdfast.start("reader", wrong)


async def test_a_definition_may_travel_with_the_start(lab: Lab) -> None:
    """A definition can be sent with the start, if the worker serves its tools."""
    spec = AgentSpec(name="guest", system_prompt="You are a guest.", tools=[look_up.spec])
    lab.server.call_tools(("look_up", {"word": "guest"}))
    async with lab.worker(reader):
        result = await lab.holdfast.run(spec, "Hello.", model="other-model")
    assert result.success
    assert lab.server.requests[0].body["model"] == "other-model"
    assert lab.server.requests[0].messages[0]["content"] == "You are a guest."


async def test_unusual_text_survives(lab: Lab) -> None:
    """NUL, lone surrogates and right-to-left marks do not stop a run."""
    odd = "nul \x00 emoji \U0001f600 surrogate \ud800 rtl \u202e end"
    lab.server.say("odd \x00 \u202e")
    async with lab.worker(reader):
        result = await lab.holdfast.run("reader", odd)
        assert result.content == "odd \x00 \u202e"
        await lab.assert_mirrored(result.run_id)
        entries = await lab.entries(result.run_id)
    kept = contents(entries)[1][1]
    assert kept.startswith("nul \x00 emoji \U0001f600 surrogate \ufffd")
    assert kept.endswith("rtl \u202e end")
