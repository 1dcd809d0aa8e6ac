"""Tools as agents call them: limits of their results and of their calls."""

from __future__ import annotations

import asyncio

from holdfast import Agent, ToolResult, tool
from tests.support.lab import Lab, contents


async def test_concurrency_limits_the_calls_of_a_tool(lab: Lab) -> None:
    """Of a tool with a limit, a worker makes so many calls at once; the others wait, and are all made."""
    now, most = 0, 0

    @tool(read_only=True, concurrency=2)
    async def narrow(number: int) -> int:
        """Takes its time."""
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.05)
        now -= 1
        return number

    lab.server.call_tools(*(("narrow", {"number": number}) for number in range(7)))
    lab.server.say("Done.")
    async with lab.worker(Agent(name="clerk", tools=[narrow])):
        result = await lab.holdfast.run("clerk", "Go.")
        entries = await lab.entries(result.run_id)
    assert [text for role, text in contents(entries) if role == "tool"] == [str(number) for number in range(7)]
    assert most == 2


async def test_output_limits_explain_the_cut(lab: Lab) -> None:
    """A result beyond the limit of its tool, or of the worker, is cut; the whole one is a file of the run."""

    @tool(read_only=True, max_result=1_000)
    def long_one() -> str:
        """Returns much."""
        return "x" * 5_000

    @tool(read_only=True)
    def longer_one() -> ToolResult:
        """Returns more."""
        return ToolResult(content="y" * 9_000)

    lab.settings.max_tool_result_bytes = 2_000
    lab.server.call_tools(("long_one", {}), ("longer_one", {}))
    lab.server.say("Done.")
    async with lab.worker(Agent(name="clerk", tools=[long_one, longer_one])):
        result = await lab.holdfast.run("clerk", "Go.")
        entries = await lab.entries(result.run_id)
    first, second = [text for role, text in contents(entries) if role == "tool"]
    assert first.startswith("x" * 1_000 + "\n[cut here: 4,000 of 5,000 bytes")
    assert second.startswith("y" * 2_000 + "\n[cut here: 7,000 of 9,000 bytes")
    assert len(result.run.files) == 2
