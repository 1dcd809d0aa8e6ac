"""Evidence from a run's history about a crash: which calls were made, how often, and by which worker."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.history.v1 import ActivityTaskScheduledEventAttributes, HistoryEvent
from temporalio.converter import DataConverter

from holdfast import names
from holdfast.invocations import ToolInvocation
from holdfast.protocol import ModelCall


@dataclass
class Call:
    """A model call or a tool call in the history."""

    key: str
    """Unique to each call of the run: two calls with the same key are one call made twice."""
    what: str
    """The call in words."""
    scheduled: datetime
    started: datetime | None = None
    """When its last attempt started."""
    ended: datetime | None = None
    attempts: int = 0
    worker: str = ""
    """Identity of the worker that made the last attempt."""
    succeeded: bool = False


@dataclass(frozen=True)
class Crash:
    """A kill of a worker, and the start of the next one."""

    worker: str
    """Identity of the worker that died."""
    killed: datetime
    restarted: datetime


@dataclass(frozen=True)
class Evidence:
    """The calls of a run around a crash."""

    calls: Sequence[Call]
    """In the order in which they were scheduled."""
    crash: Crash

    @property
    def finished_before(self) -> list[Call]:
        """Calls that had succeeded when the worker died."""
        return [call for call in self.calls if call.succeeded and call.ended and call.ended <= self.crash.killed]

    @property
    def in_flight(self) -> list[Call]:
        """Calls that the crash interrupted: scheduled before it, and started again after it."""
        return [
            call
            for call in self.calls
            if call.scheduled <= self.crash.killed
            and call.attempts > 1
            and call.started is not None
            and call.started > self.crash.killed
        ]

    @property
    def repeated(self) -> list[Call]:
        """Calls that had succeeded before the crash, and that history shows again after it."""
        finished = {call.key for call in self.finished_before}
        return [call for call in self.calls if call.key in finished and call not in self.finished_before]

    @property
    def seconds_to_next_call(self) -> float | None:
        """From the start of the new worker to its first call; `None` means that it made none."""
        later = [
            call.started
            for call in self.calls
            if call.started and call.worker != self.crash.worker and call.started > self.crash.killed
        ]
        return (min(later) - self.crash.restarted).total_seconds() if later else None


@dataclass
class _Reader:
    converter: DataConverter
    calls: dict[int, Call] = field(default_factory=dict)
    """By the id of the event that scheduled them."""

    async def read(self, event: HistoryEvent) -> None:
        at = _moment(event.event_time)
        if event.HasField("activity_task_scheduled_event_attributes"):
            call = await self._scheduled(event.activity_task_scheduled_event_attributes, at)
            if call:
                self.calls[event.event_id] = call
        elif event.HasField("activity_task_started_event_attributes"):
            started = event.activity_task_started_event_attributes
            if call := self.calls.get(started.scheduled_event_id):
                call.started, call.attempts, call.worker = at, started.attempt, started.identity
        elif event.HasField("activity_task_completed_event_attributes"):
            self._end(event.activity_task_completed_event_attributes.scheduled_event_id, at, succeeded=True)
        elif event.HasField("activity_task_failed_event_attributes"):
            self._end(event.activity_task_failed_event_attributes.scheduled_event_id, at)
        elif event.HasField("activity_task_timed_out_event_attributes"):
            self._end(event.activity_task_timed_out_event_attributes.scheduled_event_id, at)
        elif event.HasField("activity_task_canceled_event_attributes"):
            self._end(event.activity_task_canceled_event_attributes.scheduled_event_id, at)

    async def _scheduled(self, task: ActivityTaskScheduledEventAttributes, at: datetime) -> Call | None:
        kind = task.activity_type.name
        if kind == names.MODEL_CALL:
            [model] = await self.converter.decode(task.input.payloads, [ModelCall])
            return Call(key=f"model/{model.turn}/{model.head.digest}", what=f"turn {model.turn}: model", scheduled=at)
        if kind.startswith(names.TOOL_PREFIX):
            [tool] = await self.converter.decode(task.input.payloads, [ToolInvocation])
            return Call(
                key=f"tool/{tool.turn}/{tool.call.id}", what=f"turn {tool.turn}: {tool.call.name}", scheduled=at
            )
        return None

    def _end(self, scheduled: int, at: datetime, *, succeeded: bool = False) -> None:
        if call := self.calls.get(scheduled):
            call.ended, call.succeeded = at, succeeded


async def calls_in(events: Iterable[HistoryEvent], converter: DataConverter) -> list[Call]:
    """The model calls and tool calls in a history, in the order in which they were scheduled."""
    reader = _Reader(converter)
    for event in events:
        await reader.read(event)
    return list(reader.calls.values())


def _moment(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(UTC)
