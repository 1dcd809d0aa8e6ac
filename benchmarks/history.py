"""Durations, events and bytes of a run's turns, from Temporal's histories."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Self

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

MODEL_ACTIVITIES = {"model.call", "bare.model"}


@dataclass(frozen=True)
class Recorded:
    """One event of a history."""

    at: float
    """Seconds since 1970, by the server's clock."""
    size: int
    """Bytes."""
    calls_model: bool
    """Whether it schedules a model call, which begins a turn."""


@dataclass(frozen=True)
class RunHistory:
    """The events of one run, across continue-as-new, oldest first."""

    events: list[Recorded]

    @classmethod
    async def fetch(cls, client: Client, run_id: str) -> Self:
        """Reads the history of a run that has ended, from its last execution back to its first."""
        events: list[Recorded] = []
        execution: str | None = None
        while execution != "":
            raw = [event async for event in _events(client, run_id, execution)]
            events[:0] = [_recorded(event) for event in raw]
            execution = raw[0].workflow_execution_started_event_attributes.continued_execution_run_id
        return cls(events)

    @property
    def began(self) -> float:
        """When the run was started, in seconds since 1970."""
        return self.events[0].at

    @property
    def ended(self) -> float:
        """When the run ended, in seconds since 1970."""
        return self.events[-1].at

    @property
    def size(self) -> int:
        """Bytes of the whole history."""
        return sum(event.size for event in self.events)

    @property
    def turns(self) -> int:
        """Model calls."""
        return len(self._starts)

    @property
    def turn_seconds(self) -> list[float]:
        """Seconds of each turn except the last, from its model call to that of the next turn."""
        return [self.events[after].at - self.events[start].at for start, after in pairwise(self._starts)]

    @property
    def typical_turn(self) -> float:
        """Seconds of the median turn."""
        return median(self.turn_seconds)

    @property
    def events_per_turn(self) -> float:
        """Events per turn, without those of the run's start and end."""
        return len(self._between) / (self.turns - 1)

    @property
    def bytes_per_turn(self) -> float:
        """Bytes per turn, without those of the run's start and end."""
        return sum(event.size for event in self._between) / (self.turns - 1)

    @property
    def _starts(self) -> list[int]:
        return [number for number, event in enumerate(self.events) if event.calls_model]

    @property
    def _between(self) -> list[Recorded]:
        return self.events[self._starts[0] : self._starts[-1]]


async def _events(client: Client, run_id: str, execution: str | None) -> AsyncIterator[HistoryEvent]:
    handle = client.get_workflow_handle(run_id, run_id=execution)
    async for event in handle.fetch_history_events():
        yield event


def _recorded(event: HistoryEvent) -> Recorded:
    scheduled = event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
    name = event.activity_task_scheduled_event_attributes.activity_type.name if scheduled else ""
    return Recorded(event.event_time.ToNanoseconds() / 1e9, event.ByteSize(), name in MODEL_ACTIVITIES)
