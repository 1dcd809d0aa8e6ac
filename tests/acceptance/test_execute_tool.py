"""Tools that are called without a run."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from holdfast import (
    Agent,
    ApprovalRequired,
    File,
    RunExists,
    ToolCallFailed,
    UsageError,
    WaitTimedOut,
    tool,
)
from holdfast.storage.ledger import MemoryLedger
from tests.support.cli import Done
from tests.support.lab import Lab
from tests.support.lab_cli import command_line
from tests.support.tool_agents import NOON, Clerk, Colour, Item, Point


async def test_execute_tool_name_params_returns_content_and_error(lab: Lab) -> None:
    """A tool is called without a run and a model; several at once by `gather`; types come back."""
    clerk = Clerk()
    hf = lab.holdfast
    async with lab.worker(clerk):
        found = await asyncio.gather(
            hf.execute_tool(clerk, "text", word="ab", times=2),
            hf.execute_tool(clerk, "facts"),
            hf.execute_tool(clerk, "item", at=NOON),
            hf.execute_tool(clerk, "items"),
            hf.execute_tool(clerk, "mixed", colour=Colour.RED, point=Point(3)),
            hf.execute_tool(clerk, "later", hours=1),
            hf.execute_tool(clerk, "later", hours=0),
            hf.execute_tool(clerk, "file", context={"customer": 7}),
        )
        by_name = await asyncio.gather(hf.execute_tool("clerk", "items"), hf.execute_tool("clerk", "text", word="x"))
        failed = await hf.execute_tool(clerk, "fails")
        wrong = await hf.execute_tool(clerk, "text", {"word": 3})
        for name, params, said in (
            ("nothing", {}, "there is no tool 'nothing'"),
            ("text", {"word": object()}, "not a JSON value"),
        ):
            with pytest.raises(UsageError, match=said):
                await hf.execute_tool(clerk, name, params)
    assert [each.content for each in found] == [
        "abab",
        {"a": [1, 2]},
        Item(name="rope", at=NOON),
        [Item(name="rope"), Item(name="tar")],
        (Colour.RED, Point(3)),
        NOON + timedelta(hours=1),
        None,
        File("a.txt"),
    ]
    assert all(each.success for each in found)
    assert found[-1].files == ["a.txt"]
    assert [each.content for each in by_name] == [[{"name": "rope", "at": None}, {"name": "tar", "at": None}], "x"]
    assert (failed.content, failed.error) == (None, "there is no rope")
    assert "word: Input should be a valid string" in (wrong.error or "")
    with pytest.raises(ToolCallFailed, match="there is no rope"):
        failed.raise_on_failure()
    assert not lab.server.requests


async def test_execute_tool_has_the_guarantees_of_a_run(lab: Lab) -> None:
    """A call is made once under its id, a person approves what needs it, and who waits no longer cancels it."""
    paid: list[int] = []
    stopped = asyncio.Event()

    @tool(approval=lambda amount: amount > 100)
    def pay(amount: int) -> str:
        """Pays."""
        paid.append(amount)
        return f"paid {amount}"

    @tool
    async def hang() -> None:
        """Never ends."""
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    met = asyncio.Barrier(3)

    @tool(read_only=True)
    async def meet() -> str:
        """Waits until it is called three times at once."""
        await met.wait()
        return "met"

    payer = Agent(name="payer", tools=[pay, hang, meet])
    lab.settings.max_concurrent_agents = 1
    hf = lab.holdfast
    early = asyncio.create_task(hf.execute_tool("payer", "pay", amount=1))
    async with lab.worker(payer, ledger=MemoryLedger()):
        assert (await early).content == "paid 1", "it waited for a worker"
        with pytest.raises(ApprovalRequired, match="approve=True"):
            await hf.execute_tool("payer", "pay", amount=500)
        approved = await hf.execute_tool("payer", "pay", amount=500, approve=True, id="pay-1")
        again = await hf.execute_tool("payer", "pay", amount=500, approve=True, id="pay-1")
        with pytest.raises(RunExists):
            await hf.execute_tool("payer", "pay", amount=501, approve=True, id="pay-1")
        meetings = await asyncio.gather(*(hf.execute_tool("payer", "meet") for _ in range(3)))
        small = await hf.execute_tool("payer", "pay", amount=5)
        with pytest.raises(WaitTimedOut):
            await hf.execute_tool("payer", "hang", timeout=1)
        await asyncio.wait_for(stopped.wait(), 30)
        listed: list[Any] = [run async for run in hf.list()]
    assert (approved.content, again.content, small.content) == ("paid 500", "paid 500", "paid 5")
    assert [each.content for each in meetings] == ["met"] * 3, "calls without a run take no slots of runs"
    assert paid == [1, 500, 5]
    assert "pay-1" not in [run.run_id for run in listed], "it is no run"


async def test_tool_agent_tool_k_v_calls_it_from_the_command_line(lab: Lab) -> None:
    """Values are read as the tool's types say; a call that needs an approval needs `--yes`; without a tool, all are
    listed.
    """
    cli = command_line(lab)

    async def tool_command(*words: str) -> Done:
        return await cli.run("tool", "clerk", *words, changes={"HOLDFAST_AGENTS": "tests.support.tool_agents"})

    async with lab.worker(Clerk()):
        paid, refused, failed, listed = await asyncio.gather(
            tool_command("pay", "amount=5", "--yes", "--json"),
            tool_command("pay", "amount=5"),
            tool_command("fails"),
            tool_command(),
        )
    assert (paid.code, paid.json["content"]) == (0, "paid 5")
    assert (refused.code, "--yes" in refused.err) == (2, True)
    assert (failed.code, failed.out, "there is no rope" in failed.err) == (1, "", True)
    assert "text  read-only" in listed.out
    assert "takes word: string (required), times: integer (default 1)" in listed.out
    assert "pay  needs approval" in listed.out
