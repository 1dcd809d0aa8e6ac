"""Agents whose run is a function of the user: each step is made once, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from holdfast import Agent, AgentDefinitionError, RunHandle, RunStatus, TaskAgent, TaskContext, ToolError, tool
from holdfast.testing import Reply
from holdfast.testing.bench import open_bench
from holdfast.testing.session_stack import SessionStack
from tests.support.lab import Lab, eventually

made: list[str] = []
"""What the tools below have done."""


@pytest.fixture(autouse=True)
def nothing_made() -> None:
    """Forgets what earlier tests have done."""
    made.clear()


@tool
async def order(article: str, pieces: int = 1) -> dict[str, int]:
    """Orders."""
    made.append(f"order {article}")
    return {article: pieces}


@tool(read_only=True)
def look(article: str) -> int:
    """Looks."""
    made.append(f"look {article}")
    if article == "tar":
        raise LookupError("there is no tar")
    return 12


class Buyer(TaskAgent):
    """Looks, asks the model, orders what it says."""

    system_prompt = "You decide."
    tools = (order, look)

    async def run_task(self, task: str, context: TaskContext) -> Any:
        """Buys what the task names."""
        context.stage("looking", 10)
        rope, anchor = await asyncio.gather(*(context.call(look, article=each) for each in ("rope", "anchor")))
        context.create_checkpoint("looked", {"rope": rope})
        context.stage("deciding", 50)
        decision = await context.model(f"{task} There are {rope + anchor}.")
        context.stage("ordering", 90)
        bought = await context.call("order", article=decision, pieces=rope)
        context.stage("completed", 100)
        return bought


async def tool_calls(lab: Lab, run: RunHandle) -> list[list[str]]:
    """The calls of each turn of a run."""
    entries = await lab.entries(run.id)
    replies = [entry.message for entry in entries if entry.message and entry.message.role == "assistant"]
    return [[call.name for call in reply.tool_calls] for reply in replies]


async def test_a_task_makes_its_steps(lab: Lab) -> None:
    """Tools, the model, stages and checkpoints of a function are those of the run; calls of a `gather` are one turn."""
    lab.server.say("hook")
    async with lab.worker(buyer := Buyer()):
        run = await lab.holdfast.start(buyer, "What shall we buy?")
        result = await run.result(60)
        assert (result.success, result.content) == (True, '{"hook":12}'), result.error
        assert result.metadata["model"] == "test-model", "the one that was asked"
        [request] = lab.server.requests
        assert [message["content"] for message in request.messages] == [
            "You decide.",
            "What shall we buy? There are 24.",
        ]
        assert "tools" not in request.body
        turns = await tool_calls(lab, run)
        checkpoints = [point for point in await run.checkpoints() if point.by is not None]
        status = await run.status()
        entries = await lab.entries(run.id)
    assert turns == [
        ["record_marks", "look", "look"],
        ["record_marks"],
        ["record_marks"],
        ["record_marks", "order"],
        ["record_marks"],
        [],
    ]
    assert made == ["look rope", "look anchor", "order hook"]
    assert [(point.name, point.data) for point in checkpoints] == [("looked", {"rope": 12})]
    assert (status.stage, status.stage_progress) == ("completed", 100)
    told = [
        entry.data["progress"]["stage"] for entry in entries if entry.kind == "tool_result" and "progress" in entry.data
    ]
    assert told == ["looking", "deciding", "ordering", "completed"]


def test_a_task_goes_on_after_a_killed_worker(stack: SessionStack, tmp_path: Path) -> None:
    """Killed in the middle of any step, the function is called again, and no step that had ended is made again."""
    points = [("tool.look", "after"), ("tool.order", "after")]
    for activity, moment in points:
        made.clear()
        with ExitStack() as benches:
            bench = benches.enter_context(open_bench(tmp_path / f"{activity}-{moment}"))
            server = bench.server(stack)
            server.kill_at(activity, moment)  # type: ignore[arg-type]
            buyer = Buyer()
            server(buyer)
            bench.model.say("hook")
            result = asyncio.run(bench.connected(stack).run(buyer, "What shall we buy?"))
            server.assert_killed()
            assert len(bench.model.requests) == 1, "the answer of the model was recorded"
        assert result.content == '{"hook":12}', (activity, result.error)
        assert made.count("order hook") == 1, "it is neither read-only nor idempotent"
        assert set(made) == {"look anchor", "look rope", "order hook"}


class Branching(TaskAgent):
    """Two branches of several steps each, of which one has nested ones."""

    tools = (look, order)

    async def run_task(self, task: str, context: TaskContext) -> Any:
        """Runs both branches."""
        assert task == "Go."

        async def careful(article: str) -> str:
            try:
                await context.call("look", article=article)
            except ToolError as error:
                return str(error)
            await context.call("order", article=article)
            return await context.model(f"Is {article} enough?")

        async def nested() -> list[str]:
            await context.call("order", article="hook")
            return list(await asyncio.gather(careful("rope"), careful("tar")))

        return await asyncio.gather(careful("anchor"), nested(), context.model("Anything else?"))


async def test_branches_of_a_task(lab: Lab) -> None:
    """Concurrent branches keep their steps apart, a failed call can be handled, and each step is made once."""
    lab.server.respond = lambda request: Reply(f"yes: {request.messages[-1]['content']}")
    async with lab.worker(branching := Branching()):
        result = await lab.holdfast.run(branching, "Go.")
    assert result.success, result.error
    assert result.output == (
        '["yes: Is anchor enough?",["yes: Is rope enough?","LookupError: there is no tar"],"yes: Anything else?"]'
    )
    assert sorted(made) == ["look anchor", "look rope", "look tar", "order anchor", "order hook", "order rope"]
    assert len(lab.server.requests) == 3


async def test_a_task_asks_agents_and_is_a_session(lab: Lab) -> None:
    """Another agent answers in a run of its own; a session runs the function for each message."""
    helper = Agent(name="helper")

    class Asking(TaskAgent):
        agents = (helper,)

        async def run_task(self, task: str, context: TaskContext) -> str:
            return f"{task}: {await context.ask(helper, task)}"

    lab.server.say("one")
    lab.server.say("two")
    async with lab.worker(asking := Asking()):
        session = lab.holdfast.session(f"asking-{lab.settings.temporal_task_queue}", asking)
        assert [(await session.ask(text)).content for text in ("first", "second")] == ["first: one", "second: two"]
        await session.run.cancel()


async def test_a_task_is_cancelled(lab: Lab) -> None:
    """A cancel in a question to the model ends the run, with the stage that it had reached."""
    lab.server.reply(Reply("A long answer", hang_after=1))
    async with lab.worker(buyer := Buyer()):
        run = await lab.holdfast.start(buyer, "What shall we buy?")
        await lab.server.wait_for_requests(1)

        async def is_streaming() -> bool:
            return (await run.status()).stage == "deciding"

        await eventually(is_streaming)
        await run.cancel()
        result = await run.result(60)
        assert result.status == RunStatus.CANCELLED
        assert (await run.listed()).stage == "deciding"
    assert made == ["look rope", "look anchor"]


async def test_what_a_task_must_not_do(lab: Lab) -> None:
    """An error of the function fails the run, as does a function that makes other steps when it is called again."""
    calls: list[int] = []

    class Fickle(TaskAgent):
        tools = (look,)

        async def run_task(self, task: str, context: TaskContext) -> Any:
            if task == "fail":
                raise ValueError("no such task")
            if task == "fail at length":
                raise ValueError("long" * 1_000_000)
            if task == "ask":
                await context.model(5)  # type: ignore[arg-type]
            if task == "return":
                return object()
            calls.append(1)
            return await context.call(look, article=f"rope {len(calls)}")

    async with lab.worker(fickle := Fickle()):
        failed = await lab.holdfast.run(fickle, "fail")
        long = await lab.holdfast.run(fickle, "fail at length")
        changed = await lab.holdfast.run(fickle, "change")
        asked = await lab.holdfast.run(fickle, "ask")
        returned = await lab.holdfast.run(fickle, "return")
    assert str(failed.error) == "run_task of agent 'Fickle' failed: ValueError: no such task"
    assert str(long.error).startswith("run_task of agent 'Fickle' failed: ValueError: longlong")
    assert len(str(long.error)) < 21_000
    assert "a prompt must be text, not 5" in str(asked.error)
    assert "Unable to serialize unknown type" in str(returned.error)
    assert "run_task must make the same steps" in str(changed.error)
    for broken in (TaskAgent, type("Blocking", (TaskAgent,), {"run_task": print})):
        with pytest.raises(AgentDefinitionError, match=r"async def run_task"):
            broken(name="broken")
