"""Temporal's UI in a real browser: what a person sees of a run there, and can do to it."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Error, Page, async_playwright, expect

from holdfast import RunHandle, RunStatus, Settings, TextDelta
from holdfast.stack import ui_url
from holdfast.testing import Reply
from tests.acceptance.crash_agents import clerk
from tests.conftest import TEST_HOME
from tests.lab import Lab, contents, eventually

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
LONG = "This is the beginning of a very long answer that never comes to its end."
SOON = 3.0  # seconds from a click to the closed connection
PATIENCE = 20_000.0  # milliseconds for a page to show something; a busy machine takes some seconds


class TemporalUi:
    """The pages of Temporal's UI, in a browser."""

    def __init__(self, page: Page, shots: Path) -> None:
        self.page = page
        self._shots = shots

    @classmethod
    @asynccontextmanager
    async def open(cls, shots: Path) -> AsyncIterator[TemporalUi]:
        """Starts a browser.

        Args:
            shots: folder for screenshots.
        """
        program = next(filter(None, map(shutil.which, BROWSERS)), None)
        if program is None:
            pytest.skip(f"no browser: install one of {', '.join(BROWSERS)} (on Debian: apt-get install chromium)")
        expect.set_options(timeout=PATIENCE)
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=program, args=FLAGS)
            page = await browser.new_page(viewport={"width": 1400, "height": 1000})
            page.set_default_timeout(PATIENCE)
            try:
                yield cls(page, shots)
            finally:
                await browser.close()

    async def show(self, run: RunHandle | None = None) -> None:
        """Goes to the page of a run, or to the list of all."""
        url = ui_url(Settings(holdfast_home=Path(os.environ[TEST_HOME])), run.id if run else None)
        assert url is not None
        await self.page.goto(url)

    async def tab(self, name: str) -> None:
        """Goes to one of the tabs of a run's page."""
        await self.page.locator("a").filter(has_text=name).click()

    async def shows(self, *words: str) -> None:
        """Waits until a person can read all these words, in whichever frame, and takes a picture."""
        text = ""

        async def readable() -> bool:
            nonlocal text
            try:
                text = "\n".join([await frame.locator("body").inner_text() for frame in self.page.frames])
            except Error:  # a frame went away: the page is still being built
                return False
            return all(word in text for word in words)

        try:
            await eventually(readable, PATIENCE / 1000)
        except AssertionError:
            raise AssertionError(f"not all of {words} can be read; what can:\n{text}") from None
        finally:
            number = len(list(self._shots.glob("*.png")))
            await self.page.screenshot(path=self._shots / f"{number}.png")


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
    """A person sees what an agent did, does and said without opening a payload."""
    async with lab.worker(clerk, max_cached_workflows=100):
        run = await streaming(lab)
        await ui.show()
        await ui.shows(run.id, "AgentRun", "Running")
        await ui.page.get_by_role("link", name=run.id).click()
        await ui.shows("tool.note", "note(number=7)", "turn 2 · test-model", "entries 0-2 to the mirror")
        await ui.tab("User Metadata")
        await ui.shows("clerk · Note 7 and talk.", "turn 2: the model answers", "turn 1 of at most 500, 1 tool call")
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
    """The button must stop the provider's stream, keep what it gave, and leave a true state."""
    async with lab.worker(clerk, max_cached_workflows=100):
        run = await streaming(lab)
        await ui.show(run)
        await ui.tab("Queries")
        await ui.page.get_by_test_id("query-select-button").click()
        await ui.page.get_by_role("option", name="status", exact=True).click()
        await ui.page.get_by_role("button", name="Run Query").click()
        await ui.shows('"status": "running"', '"doing": "turn 2: the model answers"', '"turn": 1')
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
