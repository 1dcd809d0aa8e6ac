"""A publisher, which writes publications to the log in batches."""

from __future__ import annotations

import asyncio
from collections import deque

from holdfast.storage.bus.log import EventLog, Publication

MAX_BATCH_EVENTS = 200  # per batch: some 50 ms, during which later publications wait
MAX_BATCH_CHARS = 2 * 1024 * 1024  # per batch, which is one statement

Waiting = tuple[Publication, "asyncio.Future[int]"]


class Publisher:
    """Writes one batch at a time, in order; publications that arrive during a write form the next batch.

    A server syncs its disk for each write, and writers of one topic conflict. Thirty token streams with one write per
    token would exceed its capacity.

    Args:
        log: stores the batches.
    """

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._waiting: deque[Waiting] = deque()
        self._task: asyncio.Task[None] | None = None

    async def publish(self, publication: Publication) -> int:
        """Adds events and returns the last one's offset; the write finishes even if the caller is cancelled."""
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append((publication, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._drain())
        return await future

    async def close(self) -> None:
        """Waits until everything is written."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _drain(self) -> None:
        while self._waiting:
            batch = self._next_batch()
            try:
                offsets = await self._log.append([publication for publication, _ in batch])
            except BaseException as error:
                _fail(batch, error)
                if not isinstance(error, Exception):
                    raise
            else:
                _settle(batch, offsets)
                self._log.announce()

    def _next_batch(self) -> list[Waiting]:
        """Removes and returns the next batch, at least one publication."""
        batch: list[Waiting] = []
        events = chars = 0
        while self._waiting:
            publication = self._waiting[0][0]
            events, chars = events + len(publication.texts), chars + publication.size
            if batch and (events > MAX_BATCH_EVENTS or chars > MAX_BATCH_CHARS):
                break
            batch.append(self._waiting.popleft())
        return batch


def _settle(batch: list[Waiting], offsets: list[int]) -> None:
    for (_, future), offset in zip(batch, offsets, strict=True):
        if not future.done():  # the caller was cancelled
            future.set_result(offset)


def _fail(batch: list[Waiting], error: BaseException) -> None:
    for _, future in batch:
        if future.done():
            continue
        if isinstance(error, Exception):
            future.set_exception(error)
        else:
            future.cancel()
