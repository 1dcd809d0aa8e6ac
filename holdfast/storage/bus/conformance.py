"""What every event bus must do, as checks that run anywhere; use them to test a bus, or an EventLog, of your own.

Each check takes a bus and uses topics of its own, so that one bus may serve them all:

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
    CROWD,
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
"""Makes a bus; the checks close it. Whether two of them share their events does not matter."""

Check = Callable[[EventBus], Awaitable[None]]
Item = Mapping[str, JsonValue]

HOSTILE_TOPICS = (
    "a", "a:b", "a/b", "'; DELETE bus; --", "⟩", "\\⟩", "`", '"', "漢字 \U0001f600", " ", "\n", "bus:[x, 1]", "$topic",
    "0", "x" * MAX_TOPIC_CHARS, "\U0001f600" * MAX_TOPIC_CHARS, "\uffff", "e\u0301",
)  # fmt: skip


async def check_bus(make: BusFactory) -> None:
    """Runs every check, each on a bus of its own.

    Raises:
        AssertionError: the bus breaks a promise; the message says which.
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


async def what_is_published_comes_back(bus: EventBus) -> None:
    """Whatever JSON an event holds, it comes back exactly; what would not is refused."""
    name = topic()
    sent: list[dict[str, Any]] = []
    for odd in EDGE_CASES:
        try:
            await bus.publish(name, {"value": odd.value})
        except UsageError:
            require(odd.name in ("key that is None", "infinite float"), f"{odd.name} can be published")
            continue
        sent.append({"value": odd.value})
    same([event.data for event in await kept(bus, name, len(sent))], sent, "events come back unchanged, in order")


async def offsets_grow_and_cut(bus: EventBus) -> None:
    """A subscriber gets what comes after its offset, and nothing else."""
    name = topic()
    offsets = [await bus.publish(name, {"n": number}) for number in range(6)]
    require(offsets == sorted(set(offsets)) and offsets[0] > 0, f"offsets grow from 1 on: {offsets}")
    for index, offset in enumerate(offsets[:-1]):
        events = await kept(bus, name, len(offsets) - index - 1, after=offset)
        same([event.offset for event in events], offsets[index + 1 :], f"events after {offset}")
    async with bus.subscribe(name, offsets[-1]) as subscription:
        await nothing_comes(subscription)


async def events_published_together_stay_together(bus: EventBus) -> None:
    """Items of one call come in order, with no others between them, and the last one's offset is given."""
    name, size = topic(), 25
    items: list[list[Item]] = [[{"n": [call, item]} for item in range(size)] for call in range(CROWD)]
    calls = [bus.publish(name, *each) for each in items]
    last = await asyncio.gather(*calls)
    events = await kept(bus, name, CROWD * size)
    growing(events)
    groups = [numbers(events[start : start + size]) for start in range(0, len(events), size)]
    for group in groups:
        same(group, [[group[0][0], item] for item in range(size)], "items of one call")
    ends = {event.data["n"][0]: event.offset for event in events if event.data["n"][1] == size - 1}  # type: ignore[index]
    same([ends[call] for call in range(CROWD)], last, "offsets that publishing gave")


async def a_long_topic_is_read_in_pages(bus: EventBus) -> None:
    """A topic of many events comes whole, from any place."""
    name, count = topic(), PAGE * 3
    for start in range(0, count, PAGE):
        await bus.publish(name, *({"n": number} for number in range(start, start + PAGE)))
    events = await kept(bus, name, count)
    same(numbers(events), list(range(count)), "all events of a long topic")
    middle = events[count // 2]
    same(numbers(await kept(bus, name, count - count // 2 - 1, middle.offset))[0], count // 2 + 1, "the one after")


async def everybody_gets_everything_once(bus: EventBus) -> None:
    """Subscribers that come before, amid and after the publishing get the same events in the same order."""
    name, each = topic(), 40
    total = CROWD * each

    async def publisher(number: int) -> None:
        for item in range(each):
            await bus.publish(name, {"n": [number, item]})

    async def subscriber(number: int) -> list[BusEvent]:
        await asyncio.sleep(number * 0.02)  # so that they come at different times
        return await kept(bus, name, total)

    reading = [asyncio.create_task(subscriber(number)) for number in range(CROWD)]
    await asyncio.gather(*(publisher(number) for number in range(CROWD)))
    first, *others = await asyncio.gather(*reading)
    growing(first)
    for number in range(CROWD):
        own = [event.data["n"][1] for event in first if event.data["n"][0] == number]  # type: ignore[index]
        same(own, list(range(each)), "events of one publisher, in its order")
    for other in others:
        same(other, first, "what another subscriber got")


async def what_is_there_is_read_without_waiting(bus: EventBus) -> None:
    """A page gives what is there after an offset; nothing, where there is no more."""
    name = topic()
    same(await bus.read(name), [], "a topic without events")
    for number in range(5):
        await bus.publish(name, {"n": number}, transient=number == 2)
    found: list[BusEvent] = []
    while page := await bus.read(name, found[-1].offset if found else 0, limit=2):
        found += page
    same(numbers(found), [0, 1, 2, 3, 4], "events over pages")


async def from_now_on_begins_when_it_is_entered(bus: EventBus) -> None:
    """A subscriber without an offset gets nothing from before, and everything from then on."""
    name = topic()
    await bus.publish(name, {"n": 1})
    async with bus.subscribe(name) as events:
        await bus.publish(name, {"n": 2})
        same(numbers(await taken(events, 1)), [2], "the first event after the subscriber")
        await nothing_comes(events)


async def who_comes_back_misses_nothing(bus: EventBus) -> None:
    """Going on after the offset of the last event leaves no gap and repeats nothing, however often."""
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


async def transient_events_are_there_until_forgotten(bus: EventBus) -> None:
    """A late subscriber gets the transient events that are not forgotten, in their place among the others."""
    name = topic()
    async with bus.subscribe(name) as live:
        await bus.publish(name, {"n": 1})
        await bus.publish(name, {"n": 2}, transient=True)
        middle = await bus.publish(name, {"n": 3}, transient=True)
        await bus.publish(name, {"n": 4})
        await bus.publish(name, {"n": 5}, transient=True)
        seen = await taken(live, 5)
        growing(seen)
        same([event.transient for event in seen], [False, True, True, False, True], "which are transient")
        same(numbers(await kept(bus, name, 5)), [1, 2, 3, 4, 5], "what a late subscriber gets")
        await bus.forget(name, middle)
        same(numbers(await kept(bus, name, 3)), [1, 4, 5], "what is left after forgetting")
        await bus.publish(name, {"n": 6}, transient=True)
        same(numbers(await taken(live, 1)), [6], "the next one")
        await bus.forget(name, 2**40)
        await bus.publish(name, {"n": 7})
        same(numbers(await kept(bus, name, 3)), [1, 4, 7], "lasting events, which are never forgotten")
    await bus.forget(topic(), 5)


async def a_key_is_published_once(bus: EventBus) -> None:
    """Publishing again under the same key changes nothing, one after the other or at once; topics have keys apart."""
    name, other = topic(), topic()
    first = await bus.publish(name, {"n": 1}, {"n": 2}, key="k")
    await bus.publish(name, {"n": 3})
    same(await bus.publish(name, {"n": 1}, {"n": 2}, key="k"), first, "the offset, again")
    at_once = await asyncio.gather(*(bus.publish(name, {"n": 4}, key="once") for _ in range(CROWD)))
    require(len(set(at_once)) == 1, "publishing a key many times at once gives one offset")
    await bus.publish(name, {"n": 5}, key="'; ⟩ \0 \U0001f600")
    await bus.publish(other, {"n": 6}, key="k")
    await bus.publish(name, {"n": 7})
    same(numbers(await kept(bus, name, 6)), [1, 2, 3, 4, 5, 7], "events with keys")
    same(numbers(await kept(bus, other, 1)), [6], "a key of another topic")


async def a_slow_subscriber_is_told(bus: EventBus) -> None:
    """Who does not keep up is let go, learns where it was, and loses nothing when it goes on from there."""
    name, count = topic(), MAX_WAITING + 2 * PAGE
    slow, quick = bus.subscribe(name, 0), bus.subscribe(name, 0)
    await bus.publish(name, {"n": 0}, {"n": 1})
    found = await taken(slow, 2)
    await taken(quick, 2)
    waiting = asyncio.create_task(anext(slow))
    await asyncio.sleep(QUIET)  # it is live by now
    for start in range(2, count, PAGE):
        await bus.publish(name, *({"n": number} for number in range(start, min(start + PAGE, count))))
        await taken(quick, min(PAGE, count - start))
    found.append(await waiting)
    try:
        while True:
            found += await taken(slow, 1)
    except SubscriberTooSlow as error:
        require(not isinstance(error, EventsPruned), "nothing was pruned")
        same(error.resume_after, found[-1].offset, "where to go on")
    await is_over(slow)
    found += await kept(bus, name, count - len(found), found[-1].offset)
    same(numbers(found), list(range(count)), "what it got in the end")
    await quick.aclose()


async def pruned_events_are_missed_aloud(bus: EventBus) -> None:
    """A subscriber whose next event was pruned is told so; one that wants everything gets what is left."""
    name = topic()
    first = await bus.publish(name, {"n": 1})
    last = await bus.publish(name, {"n": 2}, {"n": 3})
    await bus.prune(datetime.now(UTC) - timedelta(hours=1))
    same(numbers(await kept(bus, name, 3)), [1, 2, 3], "what is younger stays")
    require(await bus.prune(datetime.now(UTC) + timedelta(hours=1)) >= 3, "pruning gives the number of events")
    fresh = await bus.publish(name, {"n": 4})
    require(fresh > last, "offsets are not given again")
    same(numbers(await kept(bus, name, 1)), [4], "what is left")
    try:
        await kept(bus, name, 1, after=first)
    except EventsPruned as error:
        same(error.resume_after, last, "where to go on")
        same(numbers(await kept(bus, name, 1, error.resume_after)), [4], "what comes then")
    else:
        raise AssertionError("who misses pruned events must be told")
    await refused(bus.read(name, first), EventsPruned)
    same(numbers(await kept(bus, name, 1, after=last)), [4], "who has them all misses nothing")


async def topics_do_not_mix(bus: EventBus) -> None:
    """Any text is a topic of its own."""
    ending = topic()
    names = [f"{hostile[: MAX_TOPIC_CHARS - len(ending)]}{ending}" for hostile in HOSTILE_TOPICS]
    names += [names[0] + "x", ending]
    for number, name in enumerate(names):
        await bus.publish(name, {"n": number}, key="k")
        await bus.publish(name, {"n": -number}, transient=True)
    for number, name in enumerate(names):
        same(numbers(await kept(bus, name, 2)), [number, -number], f"events of topic {name!r}")
        await bus.forget(name, 2**40)


async def what_is_not_accepted_is_refused(bus: EventBus) -> None:
    """A wrong argument is an error at once, and publishes nothing."""
    name = topic()
    bad: Any
    for bad in ("", "a\0b", "\ud800", "x" * (MAX_TOPIC_CHARS + 1), None, 5):
        await refused(bus.publish(bad, {"n": 1}), UsageError)
        await refused(bus.forget(bad, 1), UsageError)
        await refused(_subscribed(bus, bad), UsageError)
    for bad in ("text", 1, None, [1], {"n": {1}}, {"n": (1,)}, {1: 1}, {"n": float("nan")}, {"n": b""}):
        await refused(bus.publish(name, bad), UsageError)
        await refused(bus.publish(name, {"n": 1}, bad), UsageError)
    await refused(bus.publish(name), UsageError)
    await refused(bus.publish(name, *[{"n": 1}] * (MAX_ITEMS + 1)), UsageError)
    await refused(bus.publish(name, {"n": "x" * MAX_EVENT_BYTES}), UsageError)
    await refused(bus.publish(name, {"n": 1}, key=""), UsageError)
    await refused(bus.publish(name, {"n": 1}, key="k", transient=True), UsageError)
    await refused(_subscribed(bus, name, -1), UsageError)
    await refused(bus.read(name, -1), UsageError)
    await refused(bus.read(name, limit=0), UsageError)
    await refused(bus.prune(datetime.now()), UsageError)  # noqa: DTZ005 - that is what is refused
    async with bus.subscribe(name, 0) as events:
        await nothing_comes(events)


async def closing_ends_subscriptions(bus: EventBus) -> None:
    """Whoever waits is released; a bus that was closed works again when it is used."""
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
    """Giving up waiting, with a timeout, costs no event."""
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
    what_is_published_comes_back,
    offsets_grow_and_cut,
    events_published_together_stay_together,
    a_long_topic_is_read_in_pages,
    everybody_gets_everything_once,
    what_is_there_is_read_without_waiting,
    from_now_on_begins_when_it_is_entered,
    who_comes_back_misses_nothing,
    transient_events_are_there_until_forgotten,
    a_key_is_published_once,
    a_slow_subscriber_is_told,
    pruned_events_are_missed_aloud,
    topics_do_not_mix,
    what_is_not_accepted_is_refused,
    closing_ends_subscriptions,
    a_cancelled_subscriber_loses_nothing,
)
