"""Calls of agents by tools: each is a child of the run whose tool calls it, and outlives an attempt of the tool."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel

from holdfast import Agent, RunStatus, ToolContext, tool
from holdfast.errors import CommandRefused, UsageError
from holdfast.testing import ChatRequest, Reply
from holdfast.testing.observed_calls import intercepted
from holdfast.testing.replies import call_tools
from tests.support.aborted_updates import AbortedOnce
from tests.support.lab import Lab, contents, eventually
from tests.support.moments import has_status, streaming
from tests.support.trees import LONG, Cast, asks, assert_replays, exists

CACHED = 100
"""Workflows in a worker's memory: without a cache, the SDK may hold the task of a child back until it times out."""


class Stock(BaseModel):
    """Pieces in stock."""

    pieces: int


clerk = Agent(name="clerk", system_prompt="clerk", output_type=Stock)


@tool(read_only=True)
async def count(article: str, context: ToolContext) -> int:
    """Pieces of an article."""
    return (await context.call_agent(clerk, f"How many {article}?")).output.pieces  # type: ignore[no-any-return]


@tool(idempotent=True, retries=2)
async def count_all(articles: list[str], context: ToolContext) -> str:
    """Pieces of several articles, of which a first attempt forgets the result."""
    order = articles if context.attempt == 1 else articles[::-1]
    results = await asyncio.gather(*(context.call_agent("clerk", f"How many {each}?") for each in order))
    if context.attempt == 1:
        raise RuntimeError("forgotten")
    return ", ".join(f"{each}: {result.output['pieces']}" for each, result in zip(order, results, strict=True))


@tool(read_only=True)
async def wait_for(agent: str, context: ToolContext) -> str:
    """Waits for an agent."""
    return (await context.call_agent(agent, "Count slowly.")).content


@tool(read_only=True, timeout=1.0)
async def hurry(agent: str, context: ToolContext) -> str:
    """Has no time for an agent."""
    return (await context.call_agent(agent, "Count slowly.")).content


@tool(read_only=True)
async def deeper(context: ToolContext) -> str:
    """Calls the same agent again."""
    try:
        return (await context.call_agent("digger", "Dig.")).content
    except CommandRefused as error:
        return str(error)


boss = Agent(name="boss", system_prompt="boss", tools=[count, count_all, wait_for, hurry], agents=[clerk], max_turns=10)
digger = Agent(name="digger", system_prompt="digger", tools=[deeper])


@pytest.mark.parametrize("way", ["ask", "tool"])
async def test_child_usage_counts(lab: Lab, way: Literal["ask", "tool"]) -> None:
    """What a child has used counts in its parent's tree, whether the model has asked it or a tool has called it."""
    calls = asks("clerk", "How many ropes?") if way == "ask" else call_tools(("count", {"article": "ropes"}))
    Cast(lab, boss=[calls, Reply("We have 12 ropes.")], clerk=Reply('{"pieces": 12}'))
    lab.client = intercepted(lab.client, AbortedOnce())  # a call that the server aborts is sent again
    async with lab.worker(boss, max_cached_workflows=CACHED):
        handle = await lab.holdfast.start("boss", "Do we have ropes?", tags={"team": "stock"}, budget={"tokens": 9_000})
        result = await handle.result(60)
        assert result.content == "We have 12 ropes."
        [listed] = (await handle.status()).children
        assert (listed.agent, listed.status) == ("clerk", RunStatus.COMPLETED)
        answered = await lab.holdfast.handle(listed.run).result(60)
        assert result.run.tree_usage == result.run.usage + answered.run.usage
        assert answered.run.usage.total_tokens > 0
        start = (await lab.entries(listed.run))[0].data["request"]
        assert (start["parent"], start["depth"], start["tags"]) == (handle.id, 1, {"team": "stock"})
        assert "within" in start, "a part of the budget is set aside for it"
        assert "12" in [text for role, text in contents(await lab.entries(handle.id)) if role == "tool"][-1]
        await assert_replays(lab, handle)


async def test_a_later_attempt_finds_the_children_of_an_earlier_one(lab: Lab) -> None:
    """A tool that is attempted again gets the answers that it has paid for, in whatever order it asks."""

    def respond(request: ChatRequest) -> Reply:
        if request.messages[0]["content"] == "clerk":
            return Reply(f'{{"pieces": {12 if "ropes" in request.messages[-1]["content"] else 3}}}')
        return (
            Reply("Done.")
            if request.messages[-1]["role"] == "tool"
            else call_tools(("count_all", {"articles": ["ropes", "hooks"]}))
        )

    lab.server.respond = respond
    one = replace(lab, settings=lab.settings.model_copy(update={"max_concurrent_agents": 1}))
    async with one.worker(boss, max_cached_workflows=CACHED):
        handle = await lab.holdfast.start("boss", "Count.")
        result = await handle.result(60)
        assert result.content == "Done."
        progress = await handle.status()
        assert sorted(each.run for each in progress.children) == [f"{handle.id}/1.0.1", f"{handle.id}/1.0.2"]
        assert len(lab.server.requests) == 4, "the answers were paid for once, and one slot is enough for the tree"
        entries = await lab.entries(handle.id)
        assert [text for role, text in contents(entries) if role == "tool"] == ["hooks: 3, ropes: 12"]
        await assert_replays(lab, handle)


async def test_children_of_tools_share_the_fate_of_the_run(lab: Lab) -> None:
    """A cancel, a pause and the end of the tool reach the child that a tool waits for."""
    Cast(
        lab,
        boss=[call_tools(("hurry", {"agent": "clerk"})), call_tools(("wait_for", {"agent": "clerk"}))],
        clerk=Reply(LONG, hang_after=1),
    )
    async with lab.worker(boss, max_cached_workflows=CACHED):
        handle = await lab.holdfast.start("boss", "Count.")
        left = await exists(lab, f"{handle.id}/1.0.1")
        assert (await left.result(60)).run.status == RunStatus.CANCELLED, "its tool has ended without it"
        child = await exists(lab, f"{handle.id}/2.0.1")
        await streaming(child)
        await handle.pause()

        async def is_paused() -> bool:
            return (await child.status()).doing.startswith("paus")

        await eventually(is_paused)
        await handle.resume()
        await has_status(child, RunStatus.RUNNING)
        await handle.cancel()
        assert (await handle.result(60)).run.status == RunStatus.CANCELLED
        assert (await child.result(60)).run.status == RunStatus.CANCELLED
        await assert_replays(lab, handle)


async def test_calls_that_cannot_be_made_say_why(lab: Lab) -> None:
    """The depth of a tree is limited, nothing is called without a run, and arguments are checked."""

    def respond(request: ChatRequest) -> Reply:
        last = request.messages[-1]
        return Reply(str(last["content"])) if last["role"] == "tool" else call_tools(("deeper", {}))

    lab.server.respond = respond
    async with lab.worker(digger, max_cached_workflows=CACHED):
        handle = await lab.holdfast.start("digger", "Dig.")
        assert "which is the limit" in (await handle.result(60)).content
        alone = await lab.holdfast.execute_tool("digger", "deeper")
        assert "needs a run" in (alone.error or "")
    direct = ToolContext(run_id="r", call_id="c", agent="a", turn=1, attempt=1, workspace=Path())
    with pytest.raises(UsageError, match="called directly"):
        await direct.call_agent("clerk", "How many?")
