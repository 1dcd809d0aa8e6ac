"""What a worker does now and then, beside serving."""

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

JITTER = 0.2  # part of the interval, off it: several workers do not begin all at once


class BackgroundTask(Protocol):
    """Something that is done in rounds."""

    async def run(self) -> None:
        """Goes on until it is cancelled; whatever is away is waited for."""


async def repeat(each: Callable[[], Awaitable[object]], *, interval: float, what: str) -> None:
    """Does a round at intervals until it is cancelled; whatever is away is waited for.

    Args:
        each: a round.
        interval: seconds between two rounds.
        what: it does, for the log.
    """
    said = False  # a server that is away for hours is worth one line
    while True:
        try:
            await each()
            said = False
        except (Unavailable, RPCError) as error:
            (log.debug if said else log.warning)("a task waits", task=what, reason=str(error))
            said = True
        except Exception:  # whatever it is, the worker serves on
            log.exception("a task failed", task=what)
        await asyncio.sleep(interval * random.uniform(1 - JITTER, 1))  # noqa: S311 - not a secret


@asynccontextmanager
async def background_tasks(*done: BackgroundTask) -> AsyncIterator[None]:
    """Has background_tasks done while the body runs."""
    tasks = [asyncio.create_task(task.run()) for task in done]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
