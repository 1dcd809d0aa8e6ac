"""Reports of a tool while it runs: its progress for observers of the run, and events for other runs."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Coroutine

from typing_extensions import override

from holdfast._util.logger import get_logger
from holdfast.activities.call_stages import CallStages
from holdfast.agents.tool_context import ToolChannel
from holdfast.call_progress import CallProgress, ToolProgress
from holdfast.errors import StoreUnavailable, TemporalUnavailable, UsageError
from holdfast.event_topics import EmittedEvent
from holdfast.events import run_topic
from holdfast.invocations import ToolInvocation
from holdfast.ports import EventBus
from holdfast.ports.event_topics import EventTopics

log = get_logger(__name__)

INTERVAL = 0.1  # seconds between two events of a call: more than people can read
LAST_EVENTS = 1.0  # seconds for which the result of a call waits until the last report is published
MAX_WAITING = 1_000  # reports that have not been published yet; the oldest are dropped
EMIT_PAUSE = 2.0  # seconds between two attempts to emit an event while Temporal is unavailable

_tasks: set[asyncio.Task[None]] = set()
"""Those that are running: the event loop alone does not keep them."""


class CallChannel(ToolChannel):
    """The reports of one attempt. Its methods may be called in any thread; the work is done in the worker's loop.

    Args:
        invocation: the call.
        attempt: number of the attempt.
        bus: publishes the progress.
        topics: emits events.
        stages: tells the run of the stages that the call enters; `None` means that it has no run.
    """

    def __init__(
        self,
        invocation: ToolInvocation,
        attempt: int,
        bus: EventBus,
        topics: EventTopics,
        stages: CallStages | None = None,
    ) -> None:
        self._invocation = invocation
        self._attempt = attempt
        self._bus = bus
        self._topics = topics
        self._loop = asyncio.get_running_loop()
        self._number = 0
        self._ended = asyncio.Event()
        self._stages = stages
        self._waiting: deque[ToolProgress] = deque(maxlen=MAX_WAITING)
        self._publishing: asyncio.Task[None] | None = None
        self._events: list[tuple[str, EmittedEvent]] = []
        self._emitting: asyncio.Task[None] | None = None
        self.newest: ToolProgress | None = None
        """The newest report, for heartbeats; `None` means that there is none."""

    @override
    def report(self, progress: CallProgress) -> None:
        with contextlib.suppress(RuntimeError):  # the call was given up long ago, and its worker has ended
            self._loop.call_soon_threadsafe(self._report, progress)

    @override
    def emit(self, name: str, event: EmittedEvent) -> None:
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._emit, name, event)

    async def drain(self) -> None:
        """Waits until all events are emitted, and the last reports published, if the bus answers in time."""
        self._ended.set()
        if self._stages is not None:
            await self._stages.close()
        if self._publishing is not None:
            await asyncio.wait([self._publishing], timeout=LAST_EVENTS)
            self._publishing.cancel()
        if self._emitting is not None:
            await self._emitting

    def _report(self, progress: CallProgress) -> None:
        if self._ended.is_set():  # the call was given up, and its result is recorded
            return
        call = self._invocation.call
        made = ToolProgress(
            **progress.model_dump(exclude_none=True),
            turn=self._invocation.turn,
            tool=call.name,
            call=call.id,
            attempt=self._attempt,
            number=self._number,
        )
        self._number += 1
        self.newest = made
        if self._stages is not None:
            self._stages.enter(made)
        if not self._bus.may_have_subscribers():  # who subscribes later learns it from the next heartbeat
            return
        if self._waiting and self._waiting[-1].stage == made.stage:
            self._waiting.pop()
        self._waiting.append(made)
        if self._publishing is None or self._publishing.done():
            self._publishing = _in_background(self._publish())

    async def _publish(self) -> None:
        topic = run_topic(self._invocation.run_id)
        try:
            while self._waiting:
                event = self._waiting.popleft()
                await self._bus.publish(topic, event.model_dump(mode="json", exclude_none=True), ephemeral=True)
                if not self._waiting:
                    await self._rest()
        except StoreUnavailable as error:
            log.debug("progress of a tool was not published", tool=self._invocation.call.name, reason=str(error))
        except Exception:
            log.exception("progress of a tool cannot be published")

    async def _rest(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(INTERVAL):
                await self._ended.wait()

    def _emit(self, name: str, event: EmittedEvent) -> None:
        self._events.append((name, event))
        if self._emitting is None or self._emitting.done():
            self._emitting = _in_background(self._emit_all())

    async def _emit_all(self) -> None:
        while self._events:
            name, event = self._events[0]
            try:
                await self._topics.emit(name, event)
            except TemporalUnavailable as error:
                log.warning("an event of a tool waits until Temporal is available", event_name=name, reason=str(error))
                await asyncio.sleep(EMIT_PAUSE)
                continue
            except UsageError as error:
                log.warning("an event of a tool was refused", event_name=name, reason=str(error))
            except Exception:
                log.exception("an event of a tool was not emitted")
            self._events.pop(0)


def _in_background(work: Coroutine[None, None, None]) -> asyncio.Task[None]:
    task = asyncio.create_task(work)
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    return task
