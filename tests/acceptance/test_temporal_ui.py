"""Runs in Temporal's UI, in a real browser: what users see and can do."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import expect

from holdfast import RunHandle, RunStatus, TextDelta
from holdfast.testing import Reply
from tests.support.crash_agents import clerk
from tests.support.lab import Lab, contents
from tests.support.temporal_ui import TemporalUi

LONG = "This is the beginning of a very long answer that never comes to its end."
SOON = 3.0  # seconds from a click to the closed connection


@pytest.fixture
async def ui(tmp_path: Path) -> AsyncIterator[TemporalUi]:
    """A browser for Temporal's UI."""
    async with TemporalUi.open(tmp_path) as ui:
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
        await run.result(30)
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
        result = await run.result(30)
        assert result.status == RunStatus.CANCELLED
        assert result.content
        assert LONG.startswith(result.content.rstrip())
        assert contents(await lab.entries(run.id))[-1] == ("assistant", result.content)
        await lab.assert_mirrored(run.id)
        await ui.shows("Canceled", run.id)
