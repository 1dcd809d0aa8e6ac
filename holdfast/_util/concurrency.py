"""Many runs side by side, but not too many."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

WIDTH = 8  # runs at once: each keeps a worker busy with a replay, and workers have runs to serve


async def map_concurrently(
    items: AsyncIterable[T], work: Callable[[T], Awaitable[R]], width: int = WIDTH
) -> AsyncIterator[R]:
    """What `work` makes of each item, as it comes.

    The first error ends it, once what is under way has been broken off.

    Args:
        items: asked for as they are needed.
        work: done for `width` items at once.
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
