"""The conformance suite of every event bus. Use it to test a bus, or an EventLog, of your own.

Each check takes a bus and uses topics of its own, so all checks can share one bus:

    await check_bus(lambda: Bus(MyLog()))

or, with pytest, one test for each:

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    async def test_my_bus(check):
        await run_check(check, make)
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import JsonValue

from holdfast.errors import EventsPruned, SubscriberTooSlow, UsageError
from holdfast.events import BusEvent
from holdfast.ports import EventBus
from holdfast.storage.assertions import refused, require, same
from holdfast.storage.bus.conformance_helpers import (
    CONCURRENCY,
    QUIET,
    growing,
    is_over,
    kept,
    nothing_comes,
    numbers,
    taken,
    topic,
)
from holdfast.storage.bus.subscription import MAX_WAITING, PAGE
from holdfast.storage.bus.validation import MAX_EVENT_BYTES, MAX_ITEMS, MAX_TOPIC_CHARS
from holdfast.storage.edge_cases import EDGE_CASES

BusFactory = Callable[[], EventBus]
"""Returns a new bus; the checks close it. Buses may share their events."""

CLOCKS = timedelta(minutes=1)  # difference between the clocks of the database and of this process

Check = Callable[[EventBus], Awaitable[None]]
Item = Mapping[str, JsonValue]

HOSTILE_TOPICS = (
    "a", "a:b", "a/b", "'; DELETE bus; --", "⟩", "\\⟩", "`", '"', "漢字 \U0001f600", " ", "\n", "bus:[x, 1]", "$topic",
    "0", "x" * MAX_TOPIC_CHARS, "\U0001f600" * MAX_TOPIC_CHARS, "\uffff", "e\u0301",
)  # fmt: skip


async def check_bus(make: BusFactory) -> None:
    """Runs every check, each on a bus of its own.

    Raises:
        AssertionError: the bus violates a guarantee; the message says which.
    """
    for check in CHECKS:
        await run_check(check, make)


async def run_check(check: Check, make: BusFactory) -> None:
    """Runs one check on a new bus, and closes it."""
    bus = make()
    try:
        await check(bus)
    finally:
        await bus.close()


async def published_events_come_back(bus: EventBus) -> None:
    """Any JSON comes back exactly; everything else is rejected."""
    name = topic()
    sent: list[dict[str, Any]] = []
    for case in EDGE_CASES:
        try:
            await bus.publish(name, {"value": case.value})
        except UsageError:
            require(case.name in ("key that is None", "infinite float"), f"{case.name} can be published")
            continue
        sent.append({"value": case.value})
    same([event.data for event in await kept(bus, name, len(sent))], sent, "events come back unchanged, in order")


async def offsets_increase_and_select(bus: EventBus) -> None:
    """A subscriber gets the events after its offset, and no others."""
    name = topic()
    offsets = [await bus.publish(name, {"n": number}) for number in range(6)]
    require(offsets == sorted(set(offsets)) and offsets[0] > 0, f"offsets grow from 1 on: {offsets}")
    for index, offset in enumerate(offsets[:-1]):
        events = await kept(bus, name, len(offsets) - index - 1, after=offset)
        same([event.offset for event in events], offsets[index + 1 :], f"events after {offset}")
    async with bus.subscribe(name, offsets[-1]) as subscription:
        await nothing_comes(subscription)


async def events_published_together_stay_together(bus: EventBus) -> None:
    """Events of one call are consecutive and in order, and the last one's offset is returned."""
    name, size = topic(), 25
    items: list[list[Item]] = [[{"n": [call, item]} for item in range(size)] for call in range(CONCURRENCY)]
    calls = [bus.publish(name, *each) for each in items]
    last = await asyncio.gather(*calls)
    events = await kept(bus, name, CONCURRENCY * size)
    growing(events)
    groups = [numbers(events[start : start + size]) for start in range(0, len(events), size)]
    for group in groups:
        same(group, [[group[0][0], item] for item in range(size)], "items of one call")
    ends = {event.data["n"][0]: event.offset for event in events if event.data["n"][1] == size - 1}  # type: ignore[index]
    same([ends[call] for call in range(CONCURRENCY)], last, "offsets that publishing gave")


async def a_long_topic_is_read_in_pages(bus: EventBus) -> None:
    """All events of a long topic can be read, from any offset."""
    name, count = topic(), PAGE * 3
    for start in range(0, count, PAGE):
        await bus.publish(name, *({"n": number} for number in range(start, start + PAGE)))
    events = await kept(bus, name, count)
    same(numbers(events), list(range(count)), "all events of a long topic")
    middle = events[count // 2]
    same(numbers(await kept(bus, name, count - count // 2 - 1, middle.offset))[0], count // 2 + 1, "the one after")


async def every_subscriber_gets_every_event_once(bus: EventBus) -> None:
    """Subscribers that start before, during and after publishing get the same events in the same order."""
    name, each = topic(), 40
    total = CONCURRENCY * each

    async def publisher(number: int) -> None:
        for item in range(each):
            await bus.publish(name, {"n": [number, item]})

    async def subscriber(number: int) -> list[BusEvent]:
        await asyncio.sleep(number * 0.02)  # so that they come at different times
        return await kept(bus, name, total)

    reading = [asyncio.create_task(subscriber(number)) for number in range(CONCURRENCY)]
    await asyncio.gather(*(publisher(number) for number in range(CONCURRENCY)))
    first, *others = await asyncio.gather(*reading)
    growing(first)
    for number in range(CONCURRENCY):
        own = [event.data["n"][1] for event in first if event.data["n"][0] == number]  # type: ignore[index]
        same(own, list(range(each)), "events of one publisher, in its order")
    for other in others:
        same(other, first, "what another subscriber got")


async def stored_events_are_read_without_waiting(bus: EventBus) -> None:
    """A page has the stored events after an offset; it is empty if there are none."""
    name = topic()
    same(await bus.read(name), [], "a topic without events")
    for number in range(5):
        await bus.publish(name, {"n": number}, ephemeral=number == 2)
    found: list[BusEvent] = []
    while page := await bus.read(name, found[-1].offset if found else 0, limit=2):
        found += page
    same(numbers(found), [0, 1, 2, 3, 4], "events over pages")


async def a_subscription_without_offset_starts_when_it_is_entered(bus: EventBus) -> None:
    """A subscriber without an offset gets no earlier events, and all later ones."""
    name = topic()
    await bus.publish(name, {"n": 1})
    async with bus.subscribe(name) as events:
        await bus.publish(name, {"n": 2})
        same(numbers(await taken(events, 1)), [2], "the first event after the subscriber")
        await nothing_comes(events)


async def a_resumed_subscriber_misses_nothing(bus: EventBus) -> None:
    """A subscriber that resumes after its last offset misses and repeats nothing."""
    name, count = topic(), 60
    found: list[BusEvent] = []

    async def publisher() -> None:
        for number in range(count):
            await bus.publish(name, {"n": number})

    publishing = asyncio.create_task(publisher())
    while len(found) < count:
        found += await kept(bus, name, min(7, count - len(found)), after=found[-1].offset if found else 0)
    await publishing
    same(numbers(found), list(range(count)), "events over several subscriptions")


async def ephemeral_events_stay_until_discarded(bus: EventBus) -> None:
    """A late subscriber gets the ephemeral events that are not discarded, in order with the others."""
    name, began = topic(), datetime.now(UTC)
    async with bus.subscribe(name) as live:
        await bus.publish(name, {"n": 1})
        await bus.publish(name, {"n": 2}, ephemeral=True)
        middle = await bus.publish(name, {"n": 3}, ephemeral=True)
        await bus.publish(name, {"n": 4})
        await bus.publish(name, {"n": 5}, ephemeral=True)
        seen = await taken(live, 5)
        growing(seen)
        same([event.ephemeral for event in seen], [False, True, True, False, True], "which are ephemeral")
        times = [event.at for event in seen]
        require(
            all(began - CLOCKS <= at <= datetime.now(UTC) + CLOCKS for at in times), f"the times are of now: {times}"
        )
        same(numbers(await kept(bus, name, 5)), [1, 2, 3, 4, 5], "what a late subscriber gets")
        await bus.discard(name, middle)
        same(numbers(await kept(bus, name, 3)), [1, 4, 5], "what is left after discarding")
        await bus.publish(name, {"n": 6}, ephemeral=True)
        same(numbers(await taken(live, 1)), [6], "the next one")
        await bus.discard(name, 2**40)
        await bus.publish(name, {"n": 7})
        same(numbers(await kept(bus, name, 3)), [1, 4, 7], "lasting events, which are never discarded")
    await bus.discard(topic(), 5)


async def a_key_is_published_once(bus: EventBus) -> None:
    """Publishing the same key again changes nothing, in sequence or concurrently; each topic has its own keys."""
    name, other = topic(), topic()
    first = await bus.publish(name, {"n": 1}, {"n": 2}, key="k")
    await bus.publish(name, {"n": 3})
    same(await bus.publish(name, {"n": 1}, {"n": 2}, key="k"), first, "the offset, again")
    at_once = await asyncio.gather(*(bus.publish(name, {"n": 4}, key="once") for _ in range(CONCURRENCY)))
    require(len(set(at_once)) == 1, "publishing a key many times concurrently returns one offset")
    await bus.publish(name, {"n": 5}, key="'; ⟩ \0 \U0001f600")
    await bus.publish(other, {"n": 6}, key="k")
    await bus.publish(name, {"n": 7})
    same(numbers(await kept(bus, name, 6)), [1, 2, 3, 4, 5, 7], "events with keys")
    same(numbers(await kept(bus, other, 1)), [6], "a key of another topic")


async def a_slow_subscriber_gets_an_error(bus: EventBus) -> None:
    """A subscriber that does not keep up gets an error with its offset, and misses nothing when it resumes there."""
    name, count = topic(), MAX_WAITING + 2 * PAGE
    slow, quick = bus.subscribe(name, 0), bus.subscribe(name, 0)
    await bus.publish(name, {"n": 0}, {"n": 1})
    found = await taken(slow, 2)
    await taken(quick, 2)
    waiting = asyncio.create_task(anext(slow))
    await asyncio.sleep(QUIET)  # it is live by now
    require(bus.may_have_subscribers(), "a bus with subscribers says that it has some")
    for start in range(2, count, PAGE):
        await bus.publish(name, *({"n": number} for number in range(start, min(start + PAGE, count))))
        await taken(quick, min(PAGE, count - start))
    found.append(await waiting)
    try:
        while True:
            found += await taken(slow, 1)
    except SubscriberTooSlow as error:
        require(not isinstance(error, EventsPruned), "nothing was pruned")
        same(error.resume_after, found[-1].offset, "where to resume")
    await is_over(slow)
    found += await kept(bus, name, count - len(found), found[-1].offset)
    same(numbers(found), list(range(count)), "what it got in the end")
    await quick.aclose()


async def pruned_events_raise_an_error(bus: EventBus) -> None:
    """A subscriber whose next event was pruned gets an error; a new subscription gets the remaining events."""
    name = topic()
    first = await bus.publish(name, {"n": 1})
    last = await bus.publish(name, {"n": 2}, {"n": 3})
    await bus.prune(datetime.now(UTC) - timedelta(hours=1))
    same(numbers(await kept(bus, name, 3)), [1, 2, 3], "what is younger stays")
    require(await bus.prune(datetime.now(UTC) + timedelta(hours=1)) >= 3, "pruning returns the number of events")
    fresh = await bus.publish(name, {"n": 4})
    require(fresh > last, "offsets are never reused")
    same(numbers(await kept(bus, name, 1)), [4], "what is left")
    try:
        await kept(bus, name, 1, after=first)
    except EventsPruned as error:
        same(error.resume_after, last, "where to resume")
        same(numbers(await kept(bus, name, 1, error.resume_after)), [4], "what comes then")
    else:
        raise AssertionError("reading past pruned events must raise EventsPruned")
    await refused(bus.read(name, first), EventsPruned)
    same(numbers(await kept(bus, name, 1, after=last)), [4], "a subscriber that has them all misses nothing")


async def topics_do_not_mix(bus: EventBus) -> None:
    """Every text is a separate topic."""
    ending = topic()
    names = [f"{hostile[: MAX_TOPIC_CHARS - len(ending)]}{ending}" for hostile in HOSTILE_TOPICS]
    names += [names[0] + "x", ending]
    for number, name in enumerate(names):
        await bus.publish(name, {"n": number}, key="k")
        await bus.publish(name, {"n": -number}, ephemeral=True)
    for number, name in enumerate(names):
        same(numbers(await kept(bus, name, 2)), [number, -number], f"events of topic {name!r}")
        await bus.discard(name, 2**40)


async def invalid_arguments_are_rejected(bus: EventBus) -> None:
    """An invalid argument raises an error immediately, and nothing is published."""
    name = topic()
    bad: Any
    for bad in ("", "a\0b", "\ud800", "x" * (MAX_TOPIC_CHARS + 1), None, 5):
        await refused(bus.publish(bad, {"n": 1}), UsageError)
        await refused(bus.discard(bad, 1), UsageError)
        await refused(_subscribed(bus, bad), UsageError)
    for bad in ("text", 1, None, [1], {"n": {1}}, {"n": (1,)}, {1: 1}, {"n": float("nan")}, {"n": b""}):
        await refused(bus.publish(name, bad), UsageError)
        await refused(bus.publish(name, {"n": 1}, bad), UsageError)
    await refused(bus.publish(name), UsageError)
    await refused(bus.publish(name, *[{"n": 1}] * (MAX_ITEMS + 1)), UsageError)
    await refused(bus.publish(name, {"n": "x" * MAX_EVENT_BYTES}), UsageError)
    await refused(bus.publish(name, {"n": 1}, key=""), UsageError)
    await refused(bus.publish(name, {"n": 1}, key="k", ephemeral=True), UsageError)
    await refused(_subscribed(bus, name, -1), UsageError)
    await refused(bus.read(name, -1), UsageError)
    await refused(bus.read(name, limit=0), UsageError)
    await refused(bus.prune(datetime.now()), UsageError)  # noqa: DTZ005 - that is what is refused
    async with bus.subscribe(name, 0) as events:
        await nothing_comes(events)


async def closing_ends_subscriptions(bus: EventBus) -> None:
    """Closing ends waiting subscribers; a closed bus works again when it is used."""
    name = topic()
    live, idle = bus.subscribe(name, 0), bus.subscribe(name, 0)
    await bus.publish(name, {"n": 1})
    await taken(live, 1)
    waiting = asyncio.create_task(is_over(live))
    await asyncio.sleep(0)
    await bus.close()
    await bus.close()
    await waiting
    await is_over(idle)
    alone = bus.subscribe(name, 0)
    await alone.aclose()
    await alone.aclose()
    await is_over(alone)


async def a_cancelled_subscriber_loses_nothing(bus: EventBus) -> None:
    """A cancelled wait for the next event loses no event."""
    name, count = topic(), 30
    async with bus.subscribe(name) as events:
        found: list[BusEvent] = []
        for number in range(count):
            waiting = asyncio.create_task(anext(events))
            publishing = asyncio.create_task(bus.publish(name, {"n": number}))
            await asyncio.sleep(0.001 * (number % 5))
            waiting.cancel()
            await asyncio.wait([waiting, publishing])
            if not waiting.cancelled():
                found.append(waiting.result())
        found += await taken(events, count - len(found))
    same(numbers(found), list(range(count)), "events of an impatient subscriber")


async def _subscribed(bus: EventBus, name: str, after: int = 0) -> None:
    bus.subscribe(name, after)


CHECKS: tuple[Check, ...] = (
    published_events_come_back,
    offsets_increase_and_select,
    events_published_together_stay_together,
    a_long_topic_is_read_in_pages,
    every_subscriber_gets_every_event_once,
    stored_events_are_read_without_waiting,
    a_subscription_without_offset_starts_when_it_is_entered,
    a_resumed_subscriber_misses_nothing,
    ephemeral_events_stay_until_discarded,
    a_key_is_published_once,
    a_slow_subscriber_gets_an_error,
    pruned_events_raise_an_error,
    topics_do_not_mix,
    invalid_arguments_are_rejected,
    closing_ends_subscriptions,
    a_cancelled_subscriber_loses_nothing,
)
