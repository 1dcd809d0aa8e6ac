"""Writes that others may be faster with."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from holdfast.errors import StoreUnavailable
from holdfast.storage.database.errors import WriteConflict

ATTEMPTS = 40  # of one write; each time that one comes too late, another has come through
FIRST_PAUSE = 0.002  # seconds at most before the second attempt; doubled each time
LONGEST_PAUSE = 0.1  # seconds

T = TypeVar("T")


async def retry_conflicts(write: Callable[[], Awaitable[T]], what: str) -> T:
    """Makes a write, again and again until nobody was faster.

    Args:
        write: looks at what is there and writes; raises `WriteConflict` where that has changed in between.
        what: is written to, with its name, for the error.

    Raises:
        StoreUnavailable: always somebody else came first, or the database is away.
    """
    for attempt in range(ATTEMPTS):
        try:
            return await write()
        except WriteConflict:
            pause = min(FIRST_PAUSE * 2**attempt, LONGEST_PAUSE)
            await asyncio.sleep(random.uniform(0, pause))  # noqa: S311 - parts those who collided
    raise StoreUnavailable(f"{what} has other writers, who came first {ATTEMPTS} times in a row; try again")
