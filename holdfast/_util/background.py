"""Periodic background tasks of the worker."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from temporalio.service import RPCError

from holdfast._util.logger import get_logger
from holdfast.errors import Unavailable

log = get_logger(__name__)

JITTER = 0.2  # largest part of the interval that is randomly left out, so that workers do not act in step


class BackgroundTask(Protocol):
    """A task that runs until it is cancelled."""

    async def run(self) -> None:
        """Runs rounds until it is cancelled; an unavailable service is retried."""


async def repeat(each: Callable[[], Awaitable[object]], *, interval: float, what: str) -> None:
    """Runs a round at intervals until it is cancelled; an error is logged, and the next round runs as planned.

    Args:
        each: runs one round.
        interval: seconds between rounds.
        what: what a round does, for the log.
    """
    said = False  # a service that is unavailable for hours is worth one line
    while True:
        try:
            await each()
            said = False
        except (Unavailable, RPCError) as error:
            (log.debug if said else log.warning)("background task waits for a service", task=what, reason=str(error))
            said = True
        except Exception:  # the worker must keep serving runs
            log.exception("background task failed", task=what)
        await asyncio.sleep(interval * random.uniform(1 - JITTER, 1))  # noqa: S311 - not a secret


@asynccontextmanager
async def background_tasks(*background: BackgroundTask) -> AsyncIterator[None]:
    """Runs tasks while the body runs, and cancels them at its end."""
    tasks = [asyncio.create_task(task.run()) for task in background]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
