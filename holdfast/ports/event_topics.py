"""The port of events that runs wait for by name."""

from __future__ import annotations

from typing import Protocol

from holdfast.event_topics import EmittedEvent, EventWaiter


class EventTopics(Protocol):
    """Emits events, and registers the runs that wait for them."""

    async def emit(self, name: str, event: EmittedEvent) -> None:
        """Emits an event, which every run receives that waits for the name now or begins to within EVENT_WINDOW.

        Raises:
            UsageError: the name or the event is not accepted.
            TemporalUnavailable: the server is unavailable; with an id, the call can be repeated safely.
        """

    async def register(self, name: str, waiter: EventWaiter) -> None:
        """Registers a run that waits; it is told by the signal `event`, at once if the event has come already.

        Raises:
            UsageError: the name is not accepted.
            TemporalUnavailable: the server is unavailable; the call can be repeated safely.
        """
