"""Live text of model calls, published on the event bus and never recorded."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from holdfast._util.logger import get_logger
from holdfast.errors import StoreUnavailable
from holdfast.events import run_topic
from holdfast.model_reply import TriedModel
from holdfast.ports import EventBus
from holdfast.types import RunId

log = get_logger(__name__)

COALESCE = 0.06  # seconds between two events of a stream: text appears smooth, and 100 tokens a second make 16 events
RETRY_INTERVAL = 1.0  # seconds between attempts while the bus is unavailable; text accumulates meanwhile
MAX_CHARS = 32_768  # of one event


class Deltas:
    """Publishes text as it arrives; faults of the bus never affect the model call."""

    def __init__(self, bus: EventBus) -> None:
        self._bus = bus
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_unavailable = False

    @contextmanager
    def stream(self, run_id: RunId, turn: int, attempt: int, tried: Sequence[TriedModel] = ()) -> Iterator[DeltaStream]:
        """Publishes the text that is added while the body runs, and discards it from the bus afterwards.

        Text that an earlier attempt left behind because its worker died is discarded as well.

        Args:
            run_id: the run.
            turn: the number of the turn.
            attempt: number of the request within the turn, see `ModelProgress.attempt`.
            tried: the models that did not answer before.
        """

        def begin() -> None:
            task = asyncio.create_task(self._publish(run_topic(run_id), stream))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        stream = DeltaStream(turn, attempt, tried, begin)
        try:
            yield stream
        finally:
            stream.end()

    async def _publish(self, topic: str, stream: DeltaStream) -> None:
        newest = 0
        try:
            while await stream.has_more():
                await stream.rest(RETRY_INTERVAL if self._is_unavailable else COALESCE)
                if not stream.has_ended:  # otherwise the message itself contains the rest
                    newest = await self._publish_next(topic, stream, newest)
            if newest:
                await self._bus.discard(topic, newest)
        except StoreUnavailable as error:
            self._warn_once(str(error))
        except Exception:
            log.exception("live text cannot be published")

    async def _publish_next(self, topic: str, stream: DeltaStream, newest: int) -> int:
        """Publishes the text that has arrived and returns the offset of the newest event."""
        try:
            offset = await self._bus.publish(topic, stream.delta(), ephemeral=True)
            stream.sent()
            if not newest and stream.attempt > 1:
                await self._bus.discard(topic, offset - 1)
        except StoreUnavailable as error:
            self._warn_once(str(error))
            return newest
        self._is_unavailable = False
        return offset

    def _warn_once(self, reason: str) -> None:
        if not self._is_unavailable:
            log.warning("the event bus is unavailable; live text is delayed", reason=reason)
        self._is_unavailable = True


class DeltaStream:
    """The unpublished text of one attempt of a model call.

    Args:
        turn: the number of the turn.
        attempt: number of the request within the turn.
        tried: the models that did not answer before.
        begin: called with the first piece of text.
    """

    def __init__(self, turn: int, attempt: int, tried: Sequence[TriedModel], begin: Callable[[], None]) -> None:
        self.attempt = attempt
        self._turn = turn
        self._tried = [item.model_dump(mode="json") for item in tried]
        self._begin: Callable[[], None] | None = begin
        self._waiting = ""
        self._offset = 0
        self._delta = ""
        self._arrived = asyncio.Event()
        self._ended = asyncio.Event()

    def add(self, text: str) -> None:
        """Adds the next piece of text; returns at once."""
        self._waiting += text
        self._arrived.set()
        if begin := self._begin:
            self._begin = None
            begin()

    def end(self) -> None:
        """Marks the message as complete or abandoned."""
        self._ended.set()
        self._arrived.set()

    @property
    def has_ended(self) -> bool:
        """Whether the message is complete or abandoned."""
        return self._ended.is_set()

    async def has_more(self) -> bool:
        """Waits for text; returns False if the stream has ended, as the message itself contains the rest."""
        await self._arrived.wait()
        return not self.has_ended

    async def rest(self, seconds: float) -> None:
        """Waits for some seconds, or until the stream ends."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ended.wait()

    def delta(self) -> dict[str, Any]:
        """Returns the event to publish next."""
        self._delta = self._waiting[:MAX_CHARS]
        event: dict[str, Any] = {
            "kind": "delta",
            "turn": self._turn,
            "attempt": self.attempt,
            "offset": self._offset,
            "text": self._delta,
        }
        return {**event, "tried": self._tried} if self._tried else event

    def sent(self) -> None:
        """Marks the event of the last `delta` call as published."""
        self._offset += len(self._delta)
        self._waiting = self._waiting[len(self._delta) :]
        if not self._waiting and not self._ended.is_set():
            self._arrived.clear()
