"""Temporal's UI in a real browser."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Error, Locator, Page, async_playwright, expect

from holdfast import RunHandle
from tests.support.lab import eventually
from tests.support.tiers import patience

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
TIMEOUT = patience(20_000.0)  # milliseconds for a page to show something; a busy machine takes some seconds


class TemporalUi:
    """The pages of Temporal's UI, in a browser."""

    def __init__(self, page: Page, shots: Path, url: str | None) -> None:
        self.page = page
        self._shots = shots
        self._url = url

    @classmethod
    @asynccontextmanager
    async def open(cls, shots: Path, url: str | None = None) -> AsyncIterator[TemporalUi]:
        """Starts a browser.

        Args:
            shots: folder for screenshots.
            url: address of the UI, for `show`.
        """
        program = next(filter(None, map(shutil.which, BROWSERS)), None)
        if program is None:
            pytest.skip(f"no browser: install one of {', '.join(BROWSERS)} (on Debian: apt-get install chromium)")
        expect.set_options(timeout=TIMEOUT)
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=program, args=FLAGS)
            page = await browser.new_page(viewport={"width": 1400, "height": 1000})
            page.set_default_timeout(TIMEOUT)
            try:
                yield cls(page, shots, url)
            finally:
                await browser.close()

    async def show(self, run: RunHandle | None = None) -> None:
        """Goes to the page of a run, or to the list of all."""
        assert self._url is not None
        await self.page.goto(f"{self._url}/{run.id}" if run else self._url)

    async def tab(self, name: str) -> None:
        """Goes to one of the tabs of a run's page."""
        await self.page.locator("a").filter(has_text=name).click()

    async def signal(self, name: str, given: object = None) -> None:
        """Sends a signal to the run whose page is shown, with *Send a Signal*."""
        await self._choose("Send a Signal", "signal-select-button", name)
        await self._submit(given)
        await expect(self._dialog).to_be_hidden()

    async def update(self, name: str, given: object = None, *, refused: str | None = None) -> None:
        """Sends an update to the run whose page is shown, with *Send an Update*.

        Args:
            name: of the update.
            given: its argument; `None` means none.
            refused: words of the refusal that the UI must then show.
        """
        await self._choose("Send an Update", "update-select-button", name)
        await self._submit(given)
        if refused is not None:
            await expect(self._dialog).to_contain_text(refused)
            await expect(self._dialog).not_to_contain_text("Traceback")
            await expect(self._dialog).not_to_contain_text("line ")
            await self._shoot()
            await self._dialog.get_by_role("button", name="Cancel").last.click()
        await expect(self._dialog).to_be_hidden()

    @property
    def _dialog(self) -> Locator:
        return self.page.locator("dialog[open]")

    async def _choose(self, action: str, button: str, name: str) -> None:
        await self.page.get_by_role("button", name="More Actions").last.click()
        await self.page.get_by_role("menuitem", name=action).click()
        await self._dialog.get_by_test_id(button).click()
        await self._shoot()
        await self._dialog.get_by_role("option").filter(has_text=re.compile(rf"^\s*{name}\b")).click()

    async def _submit(self, given: object) -> None:
        if given is not None:
            editor = self._dialog.get_by_role("textbox").last
            await editor.click()
            await self.page.keyboard.insert_text(json.dumps(given, indent=2))
            await expect(editor).not_to_have_text("")
        await self._dialog.get_by_test_id("confirm-modal-button").click()

    async def _shoot(self) -> None:
        number = len(list(self._shots.glob("*.png")))
        await self.page.screenshot(path=self._shots / f"{number}.png")

    async def shows(self, *words: str) -> None:
        """Waits until all these words are visible, in any frame, and takes a screenshot."""
        text = ""

        async def readable() -> bool:
            nonlocal text
            try:
                text = "\n".join([await frame.locator("body").inner_text() for frame in self.page.frames])
            except Error:  # a frame went away: the page is still being built
                return False
            return all(word in text for word in words)

        try:
            await eventually(readable, TIMEOUT / 1000)
        except AssertionError:
            raise AssertionError(f"not all of {words} can be read; what can:\n{text}") from None
        finally:
            await self._shoot()
