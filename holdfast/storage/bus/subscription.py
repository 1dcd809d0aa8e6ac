"""What one subscriber holds: its place in a topic, and the events that wait for it."""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType
from typing import Protocol, Self

from holdfast.errors import EventsPruned, SubscriberTooSlow
from holdfast.events import BusEvent
from holdfast.storage.bus.log import Page, Stored
from holdfast.storage.bus.validation import event_from

MAX_WAITING = 1000  # events; the text of a model for most of a minute. Who is further behind reads from the log
MAX_WAITING_CHARS = 8 * 1024 * 1024  # of their text
PAGE = 200  # events that are read at once


class Source(Protocol):
    """Reads a log for subscriptions, and hands them what is new; `Dispatcher` is one."""

    async def head(self, topic: str) -> int:
        """Returns a topic's head, as soon as the log can be read."""
        ...

    async def page(self, topic: str, after: int, limit: int) -> Page:
        """Returns a page, as soon as the log can be read."""
        ...

    def place(self, topic: str) -> int | None:
        """Returns the offset up to which live subscribers have everything; None: the topic has none."""
        ...

    def join(self, subscription: Subscription) -> None:
        """Makes a subscription live, which has everything that the others have."""

    def leave(self, subscription: Subscription) -> None:
        """Removes a subscription."""


class Subscription:
    """An iterator over events of one topic, in order, each once.

    First it reads what is there, page by page, as fast as it is asked. Once it has everything it is live: the pump
    hands it what comes, and lets it go when too much of that waits. A database that is away is waited for.

    Args:
        pump: reads, and tells what comes.
        topic: whose events.
        after: the offset that the subscriber has; None: the newest at the time of the first look.
    """

    def __init__(self, pump: Source, topic: str, after: int | None) -> None:
        self.topic = topic
        self._pump = pump
        self._given = after  # the offset of the event that was given last
        self._position = after  # the offset that is read or handed in so far
        self._waiting: deque[Stored] = deque()
        self._chars = 0
        self._live = False
        self._over = False
        self._fault: Exception | None = None
        self._news = asyncio.Event()

    def __aiter__(self) -> Self:
        """The subscription itself."""
        return self

    async def __aenter__(self) -> Self:
        """Takes its place: nothing that is published from here on is missed, though it is not yet asked for."""
        await self._begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def __anext__(self) -> BusEvent:
        """Waits for the next event.

        Raises:
            StopAsyncIteration: the bus, or this subscription, was closed.
            SubscriberTooSlow: too many events waited.
            EventsPruned: events after the given offset are no longer there.
            PayloadUnreadable: an event is encrypted, and its key is not here.
        """
        await self._begin()
        while not self._waiting and not self._over:
            if not self._live:
                await self._catch_up()
                continue
            self._news.clear()
            await self._news.wait()
        if self._over:
            self._raise()
        stored = self._waiting.popleft()
        self._chars -= len(stored.text)
        self._given = stored.offset
        return event_from(stored)

    async def aclose(self) -> None:
        """Ends the subscription."""
        self.end()

    @property
    def position(self) -> int:
        """The offset up to which it has been handed everything."""
        return self._position or 0

    def offer(self, events: list[Stored]) -> None:
        """Hands in what comes; what it has already is left out."""
        for stored in events:
            if stored.offset <= self.position:
                continue
            if len(self._waiting) >= MAX_WAITING or self._chars > MAX_WAITING_CHARS:
                self.end(self._too_slow())
                return
            self._take(stored)
        self._news.set()

    def end(self, fault: Exception | None = None) -> None:
        """Ends it; whoever waits for the next event is told why."""
        if not self._over:
            self._over, self._fault = True, fault
            self._waiting.clear()
            self._pump.leave(self)
        self._news.set()

    async def _begin(self) -> None:
        if self._position is None:
            self._given = self._position = await self._pump.head(self.topic)

    async def _catch_up(self) -> None:
        """Reads a page; goes live if nothing can have come beside it."""
        before = self._pump.place(self.topic)
        page = await self._pump.page(self.topic, self.position, PAGE)
        if 0 < self.position < page.pruned:
            self.end(gone(self.topic, self.position, page.pruned))
            return
        for stored in page.events:
            self._take(stored)
        if page.is_last and self._pump.place(self.topic) == before:
            self._live = True
            self._pump.join(self)

    def _take(self, stored: Stored) -> None:
        self._waiting.append(stored)
        self._chars += len(stored.text)
        self._position = stored.offset

    def _raise(self) -> None:
        fault, self._fault = self._fault, None
        raise fault or StopAsyncIteration

    def _too_slow(self) -> SubscriberTooSlow:
        given = self._given or 0
        return SubscriberTooSlow(
            f"more than {MAX_WAITING:,} events of topic {self.topic!r} waited for this subscriber: go on after {given}",
            resume_after=given,
        )


def gone(topic: str, after: int, pruned: int) -> EventsPruned:
    """What whoever reads after an offset is told when the next events were pruned."""
    return EventsPruned(
        f"events of topic {topic!r} after offset {after} were pruned: those that are left come after {pruned}",
        resume_after=pruned,
    )
