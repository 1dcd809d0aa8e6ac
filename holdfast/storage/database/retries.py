"""Retries of optimistic writes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from holdfast.errors import StoreUnavailable
from holdfast.storage.database.errors import WriteConflict

ATTEMPTS = 40  # per write; each conflict means that another writer succeeded
FIRST_PAUSE = 0.002  # seconds at most before the second attempt; doubled after each conflict
LONGEST_PAUSE = 0.1  # seconds

T = TypeVar("T")


async def retry_conflicts(write: Callable[[], Awaitable[T]], what: str) -> T:
    """Runs an optimistic write until it has no conflict, and returns its result.

    Args:
        write: reads, then writes; raises `WriteConflict` if the rows have changed in between.
        what: kind and name of what is written, for the error.

    Raises:
        StoreUnavailable: every attempt had a conflict, or the database is unavailable.
    """
    for attempt in range(ATTEMPTS):
        try:
            return await write()
        except WriteConflict:
            pause = min(FIRST_PAUSE * 2**attempt, LONGEST_PAUSE)
            await asyncio.sleep(random.uniform(0, pause))  # noqa: S311 - spreads out writers that collided
    raise StoreUnavailable(f"{what} was changed by other writers during each of {ATTEMPTS} attempts: try again")
