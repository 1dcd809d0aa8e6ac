"""Runs in Temporal's UI, in a real browser: what users see and can do."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import expect

from holdfast import Agent, RunHandle, RunStatus, TextDelta, tool
from holdfast.testing import Reply
from holdfast.testing.session_stack import SessionStack
from holdfast.tools import ask_human
from tests.support.crash_agents import clerk
from tests.support.lab import SOON, Lab, contents, eventually
from tests.support.temporal_ui import TemporalUi

LONG = "This is the beginning of a very long answer that never comes to its end."


@tool(approval="always")
async def pay(amount: int) -> str:
    """Pays."""
    return f"paid {amount}"


payer = Agent(name="payer", system_prompt="You pay.", tools=[pay, ask_human])


@pytest.fixture
async def ui(tmp_path: Path, stack: SessionStack) -> AsyncIterator[TemporalUi]:
    """A browser for Temporal's UI."""
    async with TemporalUi.open(tmp_path, stack.ui) as ui:
        yield ui


async def streaming(lab: Lab) -> RunHandle:
    """A run whose model is in the middle of its answer."""
    lab.server.call_tools(("note", {"number": 7}), text="I note it.")
    lab.server.reply(Reply(LONG, hang_after=2))
    run = await lab.holdfast.start("clerk", "Note 7 and talk.")
    async for event in run.events():
        if isinstance(event, TextDelta) and event.turn == 2:
            return run
    raise AssertionError("the run ended before the model said a word")


async def test_a_run_can_be_read(ui: TemporalUi, lab: Lab) -> None:
    """The UI shows what an agent did, does and said without opening a payload."""
    async with lab.worker(clerk, max_cached_workflows=100):
        run = await streaming(lab)
        await ui.show()
        await ui.shows(run.id, "AgentRun", "Running")
        await ui.page.get_by_role("link", name=run.id).click()
        await ui.shows("tool.note", "note(number=7)", "turn 2 · test-model")
        await ui.tab("User Metadata")
        await ui.shows("clerk · Note 7 and talk.", "turn 2: calling the model", "turn 1 of at most 500, 1 tool call")
        await ui.tab("Pending Activities")
        await ui.shows("model.call", LONG[:10])
        await ui.tab("Search Attributes")
        await ui.shows("AgentName", "clerk", "AgentStatus", "running", "AgentTurn")
        await run.cancel()
        await run.result(60)
        await ui.show(run)
        await ui.tab("User Metadata")
        await ui.shows("RunCancelled", "the run was cancelled")


async def test_a_run_can_be_asked_and_cancelled(ui: TemporalUi, lab: Lab) -> None:
    """Cancelling in the UI closes the provider's stream, keeps its text and ends the run as cancelled."""
    async with lab.worker(clerk, max_cached_workflows=100):
        run = await streaming(lab)
        await ui.show(run)
        await ui.tab("Queries")
        await ui.page.get_by_test_id("query-select-button").click()
        await ui.page.get_by_role("option", name="status", exact=True).click()
        await ui.page.get_by_role("button", name="Run Query").click()
        await ui.shows('"status": "running"', '"doing": "turn 2: calling the model"', '"turn": 1')
        await ui.page.get_by_role("button", name="Request Cancellation").click()
        confirm = ui.page.get_by_role("button", name="Confirm")
        await expect(confirm).to_be_enabled()
        asked = time.monotonic()
        await confirm.click()
        assert await lab.server.wait_disconnected(1) - asked < SOON
        result = await run.result(60)
        assert result.status == RunStatus.CANCELLED
        assert result.content
        assert LONG.startswith(result.content.rstrip())
        assert contents(await lab.entries(run.id))[-1] == ("assistant", result.content)
        await lab.assert_mirrored(run.id)
        await ui.shows("Canceled", run.id)


async def test_a_run_can_be_controlled(ui: TemporalUi, lab: Lab) -> None:
    """The details say what a run waits for and what ends it; calls are approved and messages sent in the UI."""
    question = {"question": "Which account?", "options": ["private", "business"]}
    lab.server.call_tools(("pay", {"amount": 500}), ("pay", {"amount": 50}), ("ask_human", question))
    lab.server.say("Done.")
    async with lab.worker(payer, max_cached_workflows=100):
        run = await lab.holdfast.start("payer", "Pay 500 and 50.", tags={"team": "bills"})
        calls = await waiting_for(run, "approval", "approval", "question")
        await ui.show(run)
        await ui.tab("User Metadata")
        await ui.shows("waits for approval of pay(amount=500), since ", f"holdfast approve {run.id} {calls[0]}")
        await ui.shows(f'approve with "{calls[0]}" or deny with {{"call": "{calls[0]}"')
        await ui.signal("send", "Hurry.")
        await ui.signal("pause")
        await waiting_for(run, "approval", "approval", "question", "resume")
        await ui.update("approve", {"call": "9/call_9"}, refused=f"those that wait: {calls[0]}, {calls[1]}")
        await ui.signal("approve", calls[0])
        await ui.update("deny", {"call": calls[1], "reason": "too little"})
        await ui.update("resume")
        await waiting_for(run, "question")
        await ui.tab("Search Attributes")
        await ui.shows("AgentWaitsFor", "question", "AgentTags", "team=bills")
        await ui.update("answer", "business")
        result = await run.result(60)
        assert result.content == "Done."
        assert contents(await lab.entries(run.id))[3:] == [
            ("tool", "paid 500"),
            ("tool", "error: a person denied this call, so it was not made: too little"),
            ("tool", "business"),
            ("user", "Hurry."),
            ("assistant", "Done."),
        ]


async def waiting_for(run: RunHandle, *kinds: str) -> list[str]:
    """Waits until a run waits for these kinds, and returns the ids of its waits."""
    found: list[str] = []

    async def reached() -> bool:
        waits = (await run.status()).waits_for
        found[:] = [wait.id for wait in waits]
        return [wait.kind for wait in waits] == list(kinds)

    await eventually(reached)
    return found
