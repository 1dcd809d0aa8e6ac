"""Child runs: an agent asks another one, whose run shares its fate, its usage and its waits."""

from __future__ import annotations

import time

import pytest

from holdfast import Agent, Entry, RunStatus
from holdfast.errors import AgentDefinitionError
from holdfast.ops.doctor import Reconciler, Relatives, RunFinder
from holdfast.temporal.run_log import TemporalRunLog
from holdfast.testing import ChatRequest, Reply
from tests.support.lab import SOON, Lab, contents, eventually
from tests.support.moments import has_status, streaming
from tests.support.trees import LONG, Cast, agent, asks, assert_replays, continued, exists

clerk = Agent(name="clerk", description="Knows what is in stock.", system_prompt="clerk")
boss = agent("boss", clerk)
chief = agent("chief", boss)

CACHED = 100
"""Workflows in a worker's memory: without a cache, the SDK may hold the task of a child back until it times out."""


def last_text(entries: list[Entry], role: str) -> str:
    """The newest message of a role."""
    return [text for found, text in contents(entries) if found == role][-1]


async def test_an_agent_asks_another_and_child_usage_counts(lab: Lab) -> None:
    """The model has a tool for the other agent; its answer is the result, and both runs are in the mirror."""
    Cast(lab, boss=[asks("clerk", "How many ropes?"), Reply("We have 12 ropes.")], clerk=Reply("There are 12 ropes."))
    async with lab.worker(boss, max_cached_workflows=CACHED):
        handle = await lab.holdfast.start("boss", "Do we have ropes?", tags={"team": "stock"})
        result = await handle.result(60)
        assert result.content == "We have 12 ropes."
        child = lab.holdfast.handle(f"{handle.id}/1.0")
        answered = await child.result(60)
        assert answered.content == "There are 12 ropes."
        progress = await handle.status()
        assert [(each.run, each.agent, each.status) for each in progress.children] == [
            (child.id, "clerk", RunStatus.COMPLETED)
        ]
        assert result.run.tree_usage == result.run.usage + answered.run.usage
        assert answered.run.tree_usage is None
        entries = await lab.entries(handle.id)
        assert last_text(entries, "tool") == "There are 12 ropes."
        [told] = [entry for entry in entries if entry.kind == "tool_result"]
        assert told.data["run"] == child.id
        start = (await lab.entries(child.id))[0].data["request"]
        assert (start["parent"], start["root"], start["depth"]) == (handle.id, handle.id, 1)
        assert start["tags"] == {"team": "stock"}
        await lab.assert_mirrored(handle.id)
        await lab.assert_mirrored(child.id)
        assert (await child.status()).workspace == progress.workspace, "a tree works in one folder"
    [described] = [each["function"] for each in lab.server.requests[0].body["tools"]]
    assert described["name"] == "ask_clerk"
    assert "Knows what is in stock." in described["description"]


async def test_a_child_that_fails_is_data_for_the_model(lab: Lab) -> None:
    """The model reads why a child did not answer, and continues; so it does with malformed arguments."""
    lab.server.call_tools(("ask_clerk", {"input": "How many?"}), ("ask_clerk", {"text": "?"}), ("ask_clerk", "{"))
    lab.server.reply(Reply.error(400, "no such model"))
    lab.server.say("I do not know.")
    async with lab.worker(boss, max_cached_workflows=CACHED):
        handle = await lab.holdfast.start("boss", "How many?")
        assert (await handle.result(60)).content == "I do not know."
        failed, *malformed = [text for role, text in contents(await lab.entries(handle.id)) if role == "tool"]
        assert f"{handle.id}/1.0" in failed
        assert "no such model" in failed
        assert all("must be a JSON object" in text for text in malformed)
        assert (await lab.holdfast.handle(f"{handle.id}/1.0").status()).status == RunStatus.FAILED


async def test_the_depth_of_a_tree_is_limited(lab: Lab) -> None:
    """An agent that asks itself stops five runs below the first one, where the model reads why."""

    def respond(request: ChatRequest) -> Reply:
        last = request.messages[-1]
        return Reply(f"told: {last['content']}") if last["role"] == "tool" else asks("loop", "And you?")

    lab.server.respond = respond
    async with lab.worker(agent("loop", "loop"), max_cached_workflows=CACHED):
        handle = await lab.holdfast.start("loop", "And you?")
        result = await handle.result(60)
        assert "which is the limit" in result.content
        deepest = lab.holdfast.handle(f"{handle.id}{'/1.0' * 5}")
        assert (await deepest.result(5)).run.status == RunStatus.COMPLETED
        assert result.run.tree_usage is not None
        assert result.run.tree_usage.requests == 12


async def test_agents_that_nobody_knows_are_refused(lab: Lab) -> None:
    """A run waits for a worker that knows the agents that it may ask; what is not an agent is refused at once."""
    with pytest.raises(AgentDefinitionError, match="cannot be asked"):
        Agent(name="boss", agents=[7])  # type: ignore[list-item]
    with pytest.raises(AgentDefinitionError, match="both tools"):
        agent("boss", "a b", "a_b").spec()
    async with lab.worker(agent("lonely", "nobody"), max_cached_workflows=CACHED):
        handle = await lab.holdfast.start("lonely", "Hello?", timeout=1.5)
        result = await handle.result(60)
        assert result.run.status == RunStatus.FAILED
        assert result.run.error is not None
        assert "'nobody'" in result.run.error.message


async def test_cancel_at_each_stage_reaches_the_whole_tree(lab: Lab) -> None:
    """A cancel of the first of three runs ends all soon, with partial texts, and counts what they used."""
    Cast(lab, chief=asks("boss", "Find out."), boss=asks("clerk", "How many?"), clerk=Reply(LONG, hang_after=1))
    async with lab.worker(chief, max_cached_workflows=CACHED):
        handle = await lab.holdfast.start("chief", "How many ropes?")
        tree = [handle, await exists(lab, f"{handle.id}/1.0"), await exists(lab, f"{handle.id}/1.0/1.0")]
        await streaming(tree[-1])
        began = time.monotonic()
        await handle.cancel()
        results = [await run.result(60) for run in tree]
        assert time.monotonic() - began < SOON
        assert [result.run.status for result in results] == [RunStatus.CANCELLED] * 3
        assert results[-1].content.startswith("This")
        [top, middle, leaf] = [result.run for result in results]
        used = (await handle.status()).tree_usage
        assert used == top.usage + middle.usage + leaf.usage
        await assert_replays(lab, *tree)
        for run in tree:
            await lab.assert_mirrored(run.id)


async def test_pause_and_resume_reach_the_whole_tree(lab: Lab) -> None:
    """Paused runs of a tree are all paused, with their clocks standing still; resumed, they finish."""
    Cast(
        lab,
        chief=[asks("boss", "Find out."), Reply("12, I am told.")],
        boss=[asks("clerk", "How many?"), Reply("12.")],
        clerk=[Reply(LONG, hang_after=1), Reply("There are 12.")],
    )
    async with lab.worker(chief, max_cached_workflows=CACHED):
        handle = await lab.holdfast.start("chief", "How many ropes?")
        tree = [handle, await exists(lab, f"{handle.id}/1.0"), await exists(lab, f"{handle.id}/1.0/1.0")]
        await streaming(tree[-1])
        await handle.pause(now=True, by="Ada")
        for run in tree:
            await has_status(run, RunStatus.PAUSED)
            assert (await run.status()).deadline is None
        await handle.resume()
        assert (await handle.result(60)).content == "12, I am told."
        await assert_replays(lab, *tree)
        for run in tree:
            await lab.assert_mirrored(run.id)


async def test_interrupt_cancels_the_children_of_the_turn(lab: Lab) -> None:
    """The children of an interrupted turn are cancelled; the agent continues with the message."""
    Cast(lab, boss=[asks("clerk", "How many?"), Reply("Never mind.")], clerk=Reply(LONG, hang_after=1))
    async with lab.worker(boss, max_cached_workflows=CACHED):
        handle = await lab.holdfast.start("boss", "How many ropes?")
        child = await exists(lab, f"{handle.id}/1.0")
        await streaming(child)
        await handle.interrupt("Forget it.")
        assert (await handle.result(60)).content == "Never mind."
        assert (await child.result(60)).run.status == RunStatus.CANCELLED
        assert last_text(await lab.entries(handle.id), "user") == "Forget it."
        await assert_replays(lab, handle, child)


async def test_waits_below_are_visible_above(lab: Lab) -> None:
    """While the lowest of three runs waits, those above wait too, and say for what; then all continue."""
    Cast(
        lab,
        chief=[asks("boss", "Find out."), Reply("12, I am told.")],
        boss=[asks("clerk", "How many?"), Reply("12.")],
        clerk=[Reply(LONG, hang_after=1), Reply("There are 12.")],
    )
    async with lab.worker(chief, max_cached_workflows=CACHED):
        handle = await lab.holdfast.start("chief", "How many ropes?")
        middle, leaf = await exists(lab, f"{handle.id}/1.0"), await exists(lab, f"{handle.id}/1.0/1.0")
        await streaming(leaf)
        await leaf.pause(now=True)
        await has_status(handle, RunStatus.WAITING)
        progress = await handle.status()
        [wait] = progress.waits_for
        assert wait.kind == "child"
        assert leaf.id in wait.what
        assert progress.deadline is None, "the clock stands still"
        [listed] = [run async for run in lab.holdfast.list(agent="chief", limit=1)]
        assert listed.status == RunStatus.WAITING
        assert (await middle.status()).status == RunStatus.WAITING
        await leaf.resume()
        await has_status(handle, RunStatus.RUNNING, RunStatus.COMPLETED)
        assert (await handle.result(60)).content == "12, I am told."
        await assert_replays(lab, handle, middle, leaf)
        kinds = [entry.kind for entry in await lab.entries(handle.id)]
        assert (kinds.count("wait"), kinds.count("wait_ended")) == (1, 1)


async def test_children_outlive_continue_as_new(short_histories: Lab) -> None:
    """A run that continues as new while its children run gets their answers, and can still cancel and pause them."""
    lab = short_histories
    Cast(lab, boss=[asks("clerk", "A?", "B?"), Reply("Both.")], clerk=Reply(LONG, hang_after=1))
    async with lab.worker(boss, max_cached_workflows=CACHED):
        handle = await lab.holdfast.start("boss", "Ask.")
        first, second = await exists(lab, f"{handle.id}/1.0"), await exists(lab, f"{handle.id}/1.1")
        await streaming(first)
        await streaming(second)
        await continued(lab, handle)
        await second.cancel()
        await handle.pause(now=True)
        await has_status(first, RunStatus.PAUSED)
        await has_status(handle, RunStatus.PAUSED)
        lab.server.respond = None
        lab.server.say("A is 1.")
        lab.server.say("Both.")
        await handle.resume()
        result = await handle.result(60)
        assert result.content == "Both."
        told = [text for role, text in contents(await lab.entries(handle.id)) if role == "tool"]
        cancelled, answered = told  # the other one was paused meanwhile
        assert answered == "A is 1."
        assert "cancelled" in cancelled
        assert result.run.tree_usage is not None
        assert result.run.tree_usage.requests == 5
        await assert_replays(lab, handle, first, second)
        await lab.assert_mirrored(handle.id)


async def test_children_of_a_terminated_run_are_cancelled(lab: Lab) -> None:
    """What a terminated run cannot do is done for it: its children are cancelled, and its parent is told."""
    Cast(
        lab,
        chief=[asks("boss", "Find out."), Reply("Nobody knows.")],
        boss=asks("clerk", "?"),
        clerk=Reply(LONG, hang_after=1),
    )
    async with lab.worker(chief, max_cached_workflows=CACHED):
        handle = await lab.holdfast.start("chief", "How many ropes?")
        middle, leaf = await exists(lab, f"{handle.id}/1.0"), await exists(lab, f"{handle.id}/1.0/1.0")
        await streaming(leaf)
        await middle.terminate("by hand")
        assert (await handle.result(60)).content == "Nobody knows."
        assert "terminated" in last_text(await lab.entries(handle.id), "tool")
        finder = RunFinder(lab.client, lab.settings.temporal_task_queue, lab.store)
        reconciler = Reconciler(
            finder, lab.store, TemporalRunLog(lab.client), lab.bus, interval=3600, relatives=Relatives(lab.client)
        )

        async def is_cancelled() -> bool:
            await reconciler.round()
            return await leaf.ended() is not None

        await eventually(is_cancelled)
        assert (await leaf.result(60)).run.status == RunStatus.CANCELLED
