"""Shows the text of a model call while it is written: on the event bus, and nowhere else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from holdfast.errors import StoreUnavailable
from holdfast.events import run_topic
from holdfast.ports import EventBus
from holdfast.types import RunId

log = structlog.get_logger()

COALESCE = 0.06  # seconds between two events of a stream: the eye sees no steps, and 100 tokens a second are 16 events
PAUSE = 1.0  # seconds before a bus that is away is tried again; what was written meanwhile comes then
MAX_CHARS = 32_768  # of one event


class Deltas:
    """Publishes text as it arrives; whatever happens to the bus, the model call does not notice."""

    def __init__(self, bus: EventBus) -> None:
        self._bus = bus
        self._tasks: set[asyncio.Task[None]] = set()
        self._away = False

    @contextmanager
    def stream(self, run_id: RunId, turn: int, attempt: int) -> Iterator[DeltaStream]:
        """Text that is added while the body runs is published beside it, and forgotten after it.

        What an earlier attempt left, because its worker died, is forgotten too.
        """
        stream = DeltaStream(turn, attempt)
        task = asyncio.create_task(self._publish(run_topic(run_id), stream))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            yield stream
        finally:
            stream.end()

    async def _publish(self, topic: str, stream: DeltaStream) -> None:
        newest = 0
        try:
            while await stream.has_more():
                await stream.rest(PAUSE if self._away else COALESCE)
                if not stream.has_ended:  # what is written in less time comes with the message
                    newest = await self._next(topic, stream, newest)
            if newest:
                await self._bus.forget(topic, newest)
        except StoreUnavailable as error:
            self._say(str(error))
        except Exception:
            log.exception("live text cannot be published")

    async def _next(self, topic: str, stream: DeltaStream, newest: int) -> int:
        """Publishes what has come; gives the offset of the newest event."""
        try:
            offset = await self._bus.publish(topic, stream.delta(), transient=True)
            stream.sent()
            if not newest and stream.attempt > 1:
                await self._bus.forget(topic, offset - 1)
        except StoreUnavailable as error:
            self._say(str(error))
            return newest
        self._away = False
        return offset

    def _say(self, reason: str) -> None:
        if not self._away:
            log.warning("live text waits for the event bus", reason=reason)
        self._away = True


class DeltaStream:
    """The text of one attempt at a model call that waits to be published."""

    def __init__(self, turn: int, attempt: int) -> None:
        self.attempt = attempt
        self._turn = turn
        self._waiting = ""
        self._offset = 0
        self._delta = ""
        self._arrived = asyncio.Event()
        self._ended = asyncio.Event()

    def add(self, text: str) -> None:
        """Takes the next piece; returns at once."""
        self._waiting += text
        self._arrived.set()

    def end(self) -> None:
        """The message is complete, or will not be."""
        self._ended.set()
        self._arrived.set()

    @property
    def has_ended(self) -> bool:
        """Whether the message is complete, or will not be."""
        return self._ended.is_set()

    async def has_more(self) -> bool:
        """Waits for text; False: the stream has ended, and what is left goes with the message."""
        await self._arrived.wait()
        return not self.has_ended

    async def rest(self, seconds: float) -> None:
        """Waits, at most until the end."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ended.wait()

    def delta(self) -> dict[str, str | int]:
        """The event that is to be published next."""
        self._delta = self._waiting[:MAX_CHARS]
        return {
            "kind": "delta",
            "turn": self._turn,
            "attempt": self.attempt,
            "offset": self._offset,
            "text": self._delta,
        }

    def sent(self) -> None:
        """The event was published."""
        self._offset += len(self._delta)
        self._waiting = self._waiting[len(self._delta) :]
        if not self._waiting and not self._ended.is_set():
            self._arrived.clear()
