"""Live feed of one run's topic on the event bus."""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType
from typing import Self

from pydantic import ValidationError

from holdfast._util.logger import get_logger
from holdfast.call_progress import ToolProgress
from holdfast.errors import HoldfastError, SubscriberTooSlow
from holdfast.events import BusEvent, run_topic
from holdfast.ports import BusSource, EventBus
from holdfast.protocol import ModelProgress
from holdfast.types import RunId

log = get_logger(__name__)

MAX_REPORTS = 1_000  # of tools that were not consumed yet; the oldest are dropped


class DeltaFeed:
    """Subscribes to a run's topic while its context is entered; without a bus it stays empty.

    Args:
        source: returns the bus; `None` means that there is no bus.
        run_id: the run.

    Attributes:
        deltas: text that has arrived and was not consumed yet, in order.
        progress: reports of tools that have arrived and were not consumed yet, in order.
        has_entries: whether new entries were announced since this was last set to False.
    """

    def __init__(self, source: BusSource | None, run_id: RunId) -> None:
        self._source = source
        self._topic = run_topic(run_id)
        self._task: asyncio.Task[None] | None = None
        self._arrived = asyncio.Event()
        self.deltas: deque[ModelProgress] = deque()
        self.progress: deque[ToolProgress] = deque(maxlen=MAX_REPORTS)
        self.has_entries = False

    async def __aenter__(self) -> Self:
        """Starts the subscription."""
        if self._source is not None:
            self._task = asyncio.create_task(self._subscribe(self._source))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the subscription."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def wait(self, seconds: float) -> bool:
        """Waits until something has arrived since the last call; returns False if nothing does in time."""
        try:
            async with asyncio.timeout(seconds):
                await self._arrived.wait()
        except TimeoutError:
            return False
        self._arrived.clear()
        return True

    async def _subscribe(self, source: BusSource) -> None:
        try:
            if bus := source():
                after: int | None = 0
                while after is not None:
                    after = await self._receive(bus, after)
        except HoldfastError as error:  # heartbeats carry the text too, less often
            log.debug("no live text from the event bus", reason=str(error))

    async def _receive(self, bus: EventBus, after: int) -> int | None:
        """Receives events until it is too slow, and returns the offset to resume after; `None`: the bus was closed."""
        try:
            async with bus.subscribe(self._topic, after) as events:
                async for event in events:
                    self._take(event)
        except SubscriberTooSlow as error:
            return error.resume_after
        return None

    def _take(self, event: BusEvent) -> None:
        try:
            match event.data.get("kind"):
                case "delta":
                    self.deltas.append(_progress(event))
                case "progress":
                    self.progress.append(ToolProgress.model_validate(event.data))
                case _:
                    self.has_entries = True
        except ValidationError as error:
            log.debug("ignored a malformed event of a run", reason=str(error))
            return
        self._arrived.set()


def _progress(event: BusEvent) -> ModelProgress:
    return ModelProgress.model_validate({name: value for name, value in event.data.items() if name != "kind"})
