"""Brings publications to the log: those that come while one is being written go together with the next."""

from __future__ import annotations

import asyncio
from collections import deque

from holdfast.storage.bus.log import EventLog, Publication

MAX_BATCH_EVENTS = 200  # written at once: some 50 ms, for which later publishers wait
MAX_BATCH_CHARS = 2 * 1024 * 1024  # as one statement

Waiting = tuple[Publication, "asyncio.Future[int]"]


class Publisher:
    """Writes one batch at a time, in the order in which publications come.

    A server syncs its disk for each write, and writers of one topic contend: thirty streams of tokens, each with a
    write of its own, would be more than it takes.

    Args:
        log: takes the batches.
    """

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._waiting: deque[Waiting] = deque()
        self._task: asyncio.Task[None] | None = None

    async def commit(self, publication: Publication) -> int:
        """Adds events and gives the last one's offset; carried to its end though the caller be cancelled."""
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
            batch = self._taken()
            try:
                offsets = await self._log.append([publication for publication, _ in batch])
            except BaseException as error:
                _fail(batch, error)
                if not isinstance(error, Exception):
                    raise
            else:
                _settle(batch, offsets)
                self._log.announce()

    def _taken(self) -> list[Waiting]:
        """The next batch: one publication at least."""
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
        if not future.done():  # whoever waited was cancelled
            future.set_result(offset)


def _fail(batch: list[Waiting], error: BaseException) -> None:
    for _, future in batch:
        if future.done():
            continue
        if isinstance(error, Exception):
            future.set_exception(error)
        else:
            future.cancel()
