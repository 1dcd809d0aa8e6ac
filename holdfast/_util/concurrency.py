"""Concurrent work: mapping with a bounded number of tasks, and work beside a block."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

WIDTH = 8  # tasks at the same time; each may keep a worker busy with a replay, and workers also serve runs


async def map_concurrently(
    items: AsyncIterable[T], work: Callable[[T], Awaitable[R]], width: int = WIDTH
) -> AsyncIterator[R]:
    """Yields what `work` returns for each item, in the order of completion.

    The first error cancels all other calls and is raised.

    Args:
        items: consumed as they are needed.
        work: called for up to `width` items at the same time.
        width: at least 1.
    """
    under_way: set[asyncio.Future[R]] = set()
    try:
        async for item in items:
            under_way.add(asyncio.ensure_future(work(item)))
            if len(under_way) >= width:
                done, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                for each in done:
                    yield each.result()
        while under_way:
            done, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                yield each.result()
    finally:
        for each in under_way:
            each.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


@asynccontextmanager
async def beside(work: Coroutine[object, object, None]) -> AsyncIterator[None]:
    """Does something during the block, and cancels it at its end."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
