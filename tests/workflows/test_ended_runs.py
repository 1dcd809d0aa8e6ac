"""The memory of a worker after runs have ended."""

from __future__ import annotations

import gc
from collections import Counter

from holdfast import Agent, tool
from holdfast.activities.context_cache import _Cached
from holdfast.model_reply import ModelReply
from holdfast.types import AgentSpec, Context, Message, ToolCall, ToolResult, ToolSpec
from tests.support.lab import Lab

RUNS = 8
KINDS = (AgentSpec, Context, Message, ModelReply, ToolCall, ToolResult, ToolSpec, _Cached)


@tool(read_only=True)
def look(word: str) -> str:
    """Looks a word up."""
    return f"{word} was looked up"


async def test_an_ended_run_leaves_nothing_in_the_worker(lab: Lab) -> None:
    """The worker keeps no definition, message, reply or result of runs that have ended."""
    agent = Agent(name="looker", system_prompt="You look.", tools=[look])

    async def objects_after_runs(count: int) -> Counter[type]:
        for _ in range(count):
            lab.server.call_tools(("look", {"word": "rope"}))
            lab.server.say("It is there.")
            assert (await lab.holdfast.run(agent.name, "Look.")).success
        gc.collect()
        return Counter(type(each) for each in gc.get_objects() if type(each) in KINDS)

    async with lab.worker(agent, max_cached_workflows=100):
        before = await objects_after_runs(2)
        grown = await objects_after_runs(RUNS) - before
    assert {kind.__name__: count for kind, count in grown.items() if count >= RUNS} == {}
