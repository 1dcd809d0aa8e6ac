"""Trees of runs that are stopped, at each stage: children that are queued, paused, waiting, calling tools, and after
continue-as-new.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from holdfast import RunHandle, RunStatus, tool
from holdfast.testing import ChatToolCall, Reply
from tests.support.lab import SOON, Lab, contents, eventually
from tests.support.moments import has_status, streaming
from tests.support.trees import LONG, Cast, agent, asks, assert_replays, continued, exists

CACHED = 100  # as in the other tests of children
STREAMS = Reply(LONG, hang_after=1)

ended: list[str] = []


@tool(read_only=True)
async def nap() -> str:
    """Sleeps."""
    try:
        await asyncio.sleep(60)
    finally:
        ended.append("nap")
    return "slept"


clerk = agent("clerk", tools=[nap])
boss = agent("boss", clerk)
chief = agent("chief", boss)

Stage = Callable[[Lab, list[RunHandle]], Awaitable[None]]


async def streams(_lab: Lab, tree: list[RunHandle]) -> None:
    """The model of the lowest run is in the middle of its answer."""
    await streaming(tree[-1])


async def paused(lab: Lab, tree: list[RunHandle]) -> None:
    """The whole tree is paused."""
    await streams(lab, tree)
    await tree[0].pause(now=True)
    for run in tree:
        await has_status(run, RunStatus.PAUSED)


async def waits(lab: Lab, tree: list[RunHandle]) -> None:
    """The lowest run is paused, so that the others wait."""
    await streams(lab, tree)
    await tree[-1].pause(now=True)
    await has_status(tree[0], RunStatus.WAITING)


async def naps(_lab: Lab, tree: list[RunHandle]) -> None:
    """The lowest run calls a tool."""

    async def is_calling() -> bool:
        return "nap()" in (await tree[-1].status()).doing

    await eventually(is_calling)


@pytest.mark.parametrize("stage", [streams, paused, waits, naps])
async def test_cancel_at_each_stage_of_a_tree(lab: Lab, stage: Stage) -> None:
    """A cancel of the first run ends all three within seconds; each has a true end, and every call a result."""
    ended.clear()
    lowest = Reply(tool_calls=[ChatToolCall("nap", {})]) if stage is naps else STREAMS
    Cast(lab, chief=asks("boss", "Find out."), boss=asks("clerk", "How many?"), clerk=lowest)
    async with lab.worker(chief, max_cached_workflows=CACHED):
        handle = await lab.holdfast.start("chief", "How many ropes?")
        tree = [handle, await exists(lab, f"{handle.id}/1.0"), await exists(lab, f"{handle.id}/1.0/1.0")]
        await stage(lab, tree)
        began = time.monotonic()
        await handle.cancel()
        assert [(await run.result(60)).run.status for run in tree] == [RunStatus.CANCELLED] * 3
        assert time.monotonic() - began < SOON
        for run in tree:
            roles = [role for role, _ in contents(await lab.entries(run.id))]
            assert roles[-1] == ("assistant" if run is tree[-1] and stage is not naps else "tool")
            assert not (await run.status()).waits_for
        await assert_replays(lab, *tree)
        assert ended == (["nap"] if stage is naps else [])


async def test_cancel_after_continue_as_new_reaches_the_children(short_histories: Lab) -> None:
    """A run and its child have both continued as new; what happens to one still reaches the other."""
    lab = short_histories
    Cast(lab, boss=asks("clerk", "How many?"), clerk=STREAMS)
    async with lab.worker(boss, max_cached_workflows=CACHED):
        handle = await lab.holdfast.start("boss", "How many ropes?")
        child = await exists(lab, f"{handle.id}/1.0")
        await streaming(child)
        await child.pause(now=True)
        await has_status(handle, RunStatus.WAITING)
        for run in (handle, child):
            await continued(lab, run)
        assert (await handle.status()).status == RunStatus.WAITING
        await child.resume()
        await has_status(handle, RunStatus.RUNNING)
        await streaming(child)
        began = time.monotonic()
        await handle.cancel()
        assert [(await run.result(60)).run.status for run in (handle, child)] == [RunStatus.CANCELLED] * 2
        assert time.monotonic() - began < SOON
        used = (await handle.status()).tree_usage
        assert used is not None
        assert used.requests == 3
        await assert_replays(lab, handle, child)


async def test_a_time_limit_ends_the_children(lab: Lab) -> None:
    """The time limit of a run, of which the time of its children is a part, cancels them."""
    Cast(lab, boss=asks("clerk", "How many?"), clerk=STREAMS)
    async with lab.worker(boss, max_cached_workflows=CACHED):
        handle = await lab.holdfast.start("boss", "How many ropes?", timeout=1.5)
        assert (await handle.result(60)).run.status == RunStatus.TIMED_OUT
        assert (await lab.holdfast.handle(f"{handle.id}/1.0").result(60)).run.status == RunStatus.CANCELLED


async def test_children_need_no_slot_of_their_parent(lab: Lab) -> None:
    """With a single slot for agents, three levels of runs finish: one that waits for another holds none."""
    lab.settings = lab.settings.model_copy(update={"max_concurrent_agents": 1})
    Cast(
        lab,
        chief=[asks("boss", "Find out."), Reply("12, I am told.")],
        boss=[asks("clerk", "How many?"), Reply("12.")],
        clerk=Reply("There are 12."),
    )
    async with lab.worker(chief, max_cached_workflows=CACHED):
        result = await lab.holdfast.run("chief", "How many ropes?")
        assert result.content == "12, I am told."


async def test_malformed_reports_leave_a_run_alive(lab: Lab) -> None:
    """Whatever is sent by the signals of the tree is recorded as refused, or ignored; the run continues."""
    Cast(lab, boss=[asks("clerk", "How many?"), Reply("12.")], clerk=[STREAMS, Reply("There are 12.")])
    async with lab.worker(boss, max_cached_workflows=CACHED):
        handle = await lab.holdfast.start("boss", "How many ropes?")
        child = await exists(lab, f"{handle.id}/1.0")
        await streaming(child)
        temporal = lab.client.get_workflow_handle(handle.id)
        for given in ([], [7], ["x"], [{"run": "x"}], [{"run": 7, "status": "odd"}], [1, 2]):
            await temporal.signal("child", args=given)
            await temporal.signal("report", args=given)
        await temporal.signal("child", {"run": "no-child", "status": "completed"})
        await child.interrupt("Now.")
        assert (await handle.result(60)).content == "12."
        refused = [entry.data["signal"] for entry in await lab.entries(handle.id) if entry.kind == "refused"]
        assert refused.count("child") == 6
