"""How the checks of event buses say what they expect."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

from holdfast.events import BusEvent
from holdfast.ports import EventBus, EventSubscription
from holdfast.storage.assertions import require

PATIENCE = 20.0  # seconds for events that must come
QUIET = 0.3  # seconds without an event, after which none is taken to come
CROWD = 8  # publishers, and subscribers, at once


def topic() -> str:
    """A topic that nobody has used."""
    return f"check/{uuid.uuid4()}"


async def taken(events: EventSubscription, count: int) -> list[BusEvent]:
    """The next events of a subscription; fails when they do not come."""
    found: list[BusEvent] = []
    try:
        async with asyncio.timeout(PATIENCE):
            while len(found) < count:
                found.append(await anext(events))
    except TimeoutError:
        raise AssertionError(f"{count} events must come within {PATIENCE:g} s; {len(found)} did") from None
    return found


async def kept(bus: EventBus, name: str, count: int, after: int = 0) -> list[BusEvent]:
    """The first events of a topic."""
    async with bus.subscribe(name, after) as events:
        return await taken(events, count)


async def nothing_comes(events: EventSubscription) -> None:
    """Makes sure that a subscription has had everything."""
    try:
        async with asyncio.timeout(QUIET):
            event = await anext(events)
    except TimeoutError:
        return
    raise AssertionError(f"no further event is there, but {event} came")


def numbers(events: list[BusEvent]) -> list[Any]:
    """What `{"n": …}` says in each."""
    return [event.data["n"] for event in events]


def growing(events: list[BusEvent]) -> None:
    """Makes sure that offsets grow."""
    offsets = [event.offset for event in events]
    require(offsets == sorted(set(offsets)), f"offsets grow: {offsets}")


async def is_over(events: EventSubscription) -> None:
    """Makes sure that a subscription has ended."""
    try:
        async with asyncio.timeout(PATIENCE):
            event = await anext(events)
    except StopAsyncIteration:
        return
    raise AssertionError(f"the subscription has ended, but {event} came")
