"""`EventTopic`: brings the events of one name to the runs that wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RawValue

with workflow.unsafe.imports_passed_through():
    from pydantic import BaseModel

    from holdfast import names
    from holdfast.event_topics import (
        EVENT_WINDOW,
        EXAMPLE,
        MAX_KEPT_BYTES,
        MAX_WAITERS,
        EmittedEvent,
        EventTopicState,
        EventWaiter,
        KeptEvent,
    )
    from holdfast.workflows.inputs import checked_input
    from holdfast.workflows.signals import tell

M = TypeVar("M", bound=BaseModel)

DELIVERIES_AT_ONCE = 100  # of 2,000 signals that Temporal accepts in flight
FULL = f"{MAX_WAITERS:,} runs wait for this event already; wait for another name"


@workflow.defn(name=names.EVENT_TOPIC)
class EventTopic:
    """Keeps the newest events of a name for a while, and the runs that wait for the next one.

    As one workflow orders what is emitted and who begins to wait, no event falls between the two. It ends when no run
    waits and no event is kept, and is started again by the next signal.
    """

    def __init__(self) -> None:
        self._events: list[KeptEvent] = []
        self._waiters: dict[tuple[str, str], EventWaiter] = {}
        self._refused: list[EventWaiter] = []
        self._is_changed = False

    @workflow.run
    async def run(self, wanted: Any = None) -> None:
        """Brings events to runs until nobody waits and nothing is kept.

        Args:
            wanted: an EventTopicState; validated here, so that a malformed one fails the workflow.

        Raises:
            ApplicationError: `wanted` is not an EventTopicState.
        """
        state = checked_input(EventTopicState, wanted, name=names.EVENT_TOPIC, example='{"name": "deploy finished"}')
        self._take_up(state)
        while True:
            self._is_changed = False
            self._forget_old_events()
            await self._deliver()
            if workflow.info().is_continue_as_new_suggested() and not self._refused:
                self._continue_as_new(state)
            if not self._is_changed and not self._waiters and not self._events:
                return
            if not self._is_changed:
                await self._wait()

    @workflow.signal(name=names.SIGNAL_EMIT, description=f"Emits an event: {EXAMPLE}")
    def emit(self, given: RawValue) -> None:
        """Keeps an event, and wakes the runs that wait."""
        event = _parsed(EmittedEvent, given, names.SIGNAL_EMIT)
        if event is None or (event.id is not None and any(event.id == kept.id for kept in self._events)):
            return
        now = workflow.now()
        # Microseconds, so that the events of a later workflow of this name have greater offsets.
        offset = max([int(now.timestamp() * 1e6), *(kept.offset + 1 for kept in self._events[-1:])])
        self._events.append(KeptEvent(data=event.data, id=event.id, by=event.by, offset=offset, at=now))
        while sum(len(kept.model_dump_json()) for kept in self._events) > MAX_KEPT_BYTES:
            self._events.pop(0)
        self._is_changed = True

    @workflow.signal(name=names.SIGNAL_AWAIT, description="Registers a run that waits for the next event")
    def register(self, given: RawValue) -> None:
        """Registers a run that waits."""
        waiter = _parsed(EventWaiter, given, names.SIGNAL_AWAIT)
        if waiter is None:
            return
        key = (waiter.run_id, waiter.wait)
        if len(self._waiters) >= MAX_WAITERS and key not in self._waiters:
            self._refused.append(waiter)
        else:
            self._waiters[key] = waiter
        self._is_changed = True

    @workflow.signal(name=names.SIGNAL_FORGET, description="Removes a run that no longer waits")
    def forget(self, given: RawValue) -> None:
        """Removes a run that no longer waits."""
        waiter = _parsed(EventWaiter, given, names.SIGNAL_FORGET)
        if waiter is not None:
            self._waiters.pop((waiter.run_id, waiter.wait), None)
            self._is_changed = True

    @workflow.signal(dynamic=True)
    def unknown(self, name: str, _args: Sequence[RawValue]) -> None:
        """Ignores a signal that is not known."""
        workflow.logger.warning("signal %.80s is not known", name)

    @workflow.query(name=names.QUERY_STATUS)
    def status(self) -> EventTopicState:
        """Returns the events that are kept, and the runs that wait."""
        return EventTopicState(name=workflow.info().workflow_id, events=self._events, waiters=self._waiting)

    @property
    def _waiting(self) -> list[EventWaiter]:
        return list(self._waiters.values())

    def _take_up(self, state: EventTopicState) -> None:
        """Takes up what an earlier execution has carried; signals may have come already."""
        self._events = [*state.events, *self._events]
        self._waiters = {(waiter.run_id, waiter.wait): waiter for waiter in state.waiters} | self._waiters

    def _forget_old_events(self) -> None:
        oldest = workflow.now() - EVENT_WINDOW
        self._events = [event for event in self._events if event.at > oldest]

    async def _deliver(self) -> None:
        """Sends every run that waits the oldest event that is for it, if there is one."""
        due = [(waiter, event) for waiter in self._waiters.values() if (event := self._next_for(waiter))]
        refused, self._refused = self._refused, []
        for first in range(0, len(due), DELIVERIES_AT_ONCE):
            some = due[first : first + DELIVERIES_AT_ONCE]
            await asyncio.gather(*(self._send(waiter, _told(event)) for waiter, event in some))
        for waiter in refused:
            await self._send(waiter, {"error": FULL})

    def _next_for(self, waiter: EventWaiter) -> KeptEvent | None:
        return next((each for each in self._events if each.offset > waiter.after and each.at >= waiter.since), None)

    async def _send(self, waiter: EventWaiter, told: dict[str, Any]) -> None:
        """Tells a run about its event; one that has ended is forgotten."""
        key = (waiter.run_id, waiter.wait)
        if self._waiters.get(key) is waiter:
            del self._waiters[key]
        await tell(waiter.run_id, names.SIGNAL_EVENT, {"wait": waiter.wait, **told})

    async def _wait(self) -> None:
        """Waits for a signal; without runs that wait, at most until the newest event is old."""
        limit: timedelta | None = None
        if not self._waiters:
            limit = max(self._events[-1].at + EVENT_WINDOW - workflow.now(), timedelta(seconds=1))
        try:
            await workflow.wait_condition(
                lambda: self._is_changed, timeout=limit, timeout_summary="until no event is kept"
            )
        except TimeoutError:
            return

    def _continue_as_new(self, state: EventTopicState) -> None:
        carried = state.model_copy(update={"events": self._events, "waiters": self._waiting})
        workflow.continue_as_new(carried)


def _told(event: KeptEvent) -> dict[str, Any]:
    told = event.model_dump(mode="json", include={"data", "by", "offset"}, exclude_none=True)
    return {"offset": event.offset, "data": None, **told}


def _parsed(kind: type[M], given: RawValue, signal: str) -> M | None:
    """Returns what a signal carries; `None` if it is malformed, which must not end the workflow."""
    try:
        value = workflow.payload_converter().from_payload(given.payload)
        return kind.model_validate(value)
    except Exception as error:  # noqa: BLE001 - a payload that is not JSON can raise any error
        workflow.logger.warning("signal %s is ignored: %s", signal, error)
        return None
