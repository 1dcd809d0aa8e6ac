"""Helpers of the conformance suite of event buses."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

from holdfast.events import BusEvent
from holdfast.ports import EventBus, EventSubscription
from holdfast.storage.assertions import require

DEADLINE = 20.0  # seconds for expected events to arrive
QUIET = 0.3  # seconds without an event, after which none is expected
CONCURRENCY = 8  # concurrent publishers, and subscribers


def topic() -> str:
    """Returns a new, unused topic."""
    return f"check/{uuid.uuid4()}"


async def taken(events: EventSubscription, count: int) -> list[BusEvent]:
    """Returns the next events of a subscription; fails if they do not arrive in time."""
    found: list[BusEvent] = []
    try:
        async with asyncio.timeout(DEADLINE):
            while len(found) < count:
                found.append(await anext(events))
    except TimeoutError:
        raise AssertionError(f"{count} events must arrive within {DEADLINE:g} s; {len(found)} did") from None
    return found


async def kept(bus: EventBus, name: str, count: int, after: int = 0) -> list[BusEvent]:
    """Returns the first events of a topic after an offset."""
    async with bus.subscribe(name, after) as events:
        return await taken(events, count)


async def nothing_comes(events: EventSubscription) -> None:
    """Checks that a subscription has no further event."""
    try:
        async with asyncio.timeout(QUIET):
            event = await anext(events)
    except TimeoutError:
        return
    raise AssertionError(f"no further event is expected, but {event} arrived")


def numbers(events: list[BusEvent]) -> list[Any]:
    """Returns the value of `n` of each event."""
    return [event.data["n"] for event in events]


def growing(events: list[BusEvent]) -> None:
    """Checks that offsets increase."""
    offsets = [event.offset for event in events]
    require(offsets == sorted(set(offsets)), f"offsets increase: {offsets}")


async def is_over(events: EventSubscription) -> None:
    """Checks that a subscription has ended."""
    try:
        async with asyncio.timeout(DEADLINE):
            event = await anext(events)
    except StopAsyncIteration:
        return
    raise AssertionError(f"the subscription has ended, but {event} arrived")
