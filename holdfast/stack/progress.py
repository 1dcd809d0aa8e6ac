"""Progress display of long operations."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from holdfast._util.concurrency import beside

Report = Callable[[str], None]
"""Receives plain lines for the person who waits."""


TERMINAL_INTERVAL = 0.5  # seconds between updates of the line on a terminal
LINE_INTERVAL = 15.0  # seconds between lines in a log file


def say_nothing(_line: str) -> None:
    """A report to nobody."""


def ticking(what: str, detail: Callable[[], str], report: Report) -> AbstractAsyncContextManager[None]:
    """Shows the elapsed time and the progress during the block.

    On a terminal, one line of stderr is overwritten; elsewhere, `report` receives a line from time to time.
    """
    return beside(_tick(what, detail, report))


async def _tick(what: str, detail: Callable[[], str], report: Report) -> None:
    began = time.monotonic()
    on_terminal = sys.stderr.isatty()
    try:
        while True:
            await asyncio.sleep(TERMINAL_INTERVAL if on_terminal else LINE_INTERVAL)
            line = f"{what}: {time.monotonic() - began:.0f} s{detail()}"
            if on_terminal:
                _overwrite(line)
            else:
                report(line)
    finally:
        if on_terminal:
            _overwrite("")


def _overwrite(line: str) -> None:
    erase_line = "\r\x1b[2K"
    sys.stderr.write(erase_line + line)
    sys.stderr.flush()
