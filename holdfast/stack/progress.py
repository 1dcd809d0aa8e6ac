"""Telling a person that something long goes on."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

Report = Callable[[str], None]
"""Is given one plain line at a time for the person who waits."""

TERMINAL_INTERVAL = 0.5  # seconds; often enough to look alive
LINE_INTERVAL = 15.0  # seconds; a log file should not fill with the same news


@asynccontextmanager
async def ticking(what: str, detail: Callable[[], str], report: Report) -> AsyncIterator[None]:
    """Shows for the length of the block how long it has taken and how far it is.

    On a terminal one line of stderr is written over and over; elsewhere `report` is given a
    line now and then.
    """
    task = asyncio.create_task(_tick(what, detail, report))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


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
