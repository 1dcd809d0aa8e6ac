"""A subscription: one subscriber's position in a topic, and its queue of events."""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType
from typing import Protocol, Self

from holdfast.errors import EventsPruned, SubscriberTooSlow
from holdfast.events import BusEvent
from holdfast.storage.bus.log import Page, Stored
from holdfast.storage.bus.validation import event_from

MAX_WAITING = 1000  # events; the text of a model for most of a minute. A slower subscriber must resume from the log
MAX_WAITING_CHARS = 8 * 1024 * 1024  # of the text of queued events
PAGE = 200  # events per read


class Source(Protocol):
    """Reads a log for subscriptions and offers them new events; implemented by `Dispatcher`."""

    async def head(self, topic: str) -> int:
        """Returns a topic's newest offset; waits while the log is unavailable."""
        ...

    async def page(self, topic: str, after: int, limit: int) -> Page:
        """Returns a page; waits while the log is unavailable."""
        ...

    def place(self, topic: str) -> int | None:
        """Returns the offset up to which live subscribers have all events; `None` if the topic has none."""
        ...

    def join(self, subscription: Subscription) -> None:
        """Makes a subscription live; it must have caught up with the others."""

    def leave(self, subscription: Subscription) -> None:
        """Removes a subscription."""


class Subscription:
    """An iterator over the events of one topic, in order, each once.

    It first reads stored events page by page, on demand. Once it has caught up it is live: the dispatcher offers it new
    events, and ends it when too many are queued. It waits while the database is unavailable.

    Args:
        source: reads the log and offers new events.
        topic: the topic to read.
        after: the last offset that the subscriber has; `None` means the newest one when it starts.
    """

    def __init__(self, source: Source, topic: str, after: int | None) -> None:
        self.topic = topic
        self._source = source
        self._returned = after  # offset of the last event that was returned
        self._position = after  # offset up to which events were read or offered
        self._waiting: deque[Stored] = deque()
        self._chars = 0
        self._live = False
        self._over = False
        self._error: Exception | None = None
        self._news = asyncio.Event()

    def __aiter__(self) -> Self:
        """Returns the subscription itself."""
        return self

    async def __aenter__(self) -> Self:
        """Fixes its position, so that it receives everything that is published from now on."""
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
            SubscriberTooSlow: too many events were queued.
            EventsPruned: events after its offset were pruned.
            PayloadUnreadable: an event is encrypted with a key that is not configured.
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
        self._returned = stored.offset
        return event_from(stored)

    async def aclose(self) -> None:
        """Ends the subscription."""
        self.end()

    @property
    def position(self) -> int:
        """The offset up to which events were read or offered."""
        return self._position or 0

    def offer(self, events: list[Stored]) -> None:
        """Queues new events, except those that it already has."""
        for stored in events:
            if stored.offset <= self.position:
                continue
            if len(self._waiting) >= MAX_WAITING or self._chars > MAX_WAITING_CHARS:
                self.end(self._too_slow())
                return
            self._take(stored)
        self._news.set()

    def end(self, error: Exception | None = None) -> None:
        """Ends the subscription; a caller that waits for the next event gets the error."""
        if not self._over:
            self._over, self._error = True, error
            self._waiting.clear()
            self._source.leave(self)
        self._news.set()

    async def _begin(self) -> None:
        if self._position is None:
            self._returned = self._position = await self._source.head(self.topic)

    async def _catch_up(self) -> None:
        """Reads a page; goes live if no event can have been missed."""
        before = self._source.place(self.topic)
        page = await self._source.page(self.topic, self.position, PAGE)
        if 0 < self.position < page.pruned:
            self.end(pruned_error(self.topic, self.position, page.pruned))
            return
        for stored in page.events:
            self._take(stored)
        if page.is_last and self._source.place(self.topic) == before:
            self._live = True
            self._source.join(self)

    def _take(self, stored: Stored) -> None:
        self._waiting.append(stored)
        self._chars += len(stored.text)
        self._position = stored.offset

    def _raise(self) -> None:
        error, self._error = self._error, None
        raise error or StopAsyncIteration

    def _too_slow(self) -> SubscriberTooSlow:
        returned = self._returned or 0
        return SubscriberTooSlow(
            f"more than {MAX_WAITING:,} events of topic {self.topic!r} were queued for this subscriber: "
            f"resume after offset {returned}",
            resume_after=returned,
        )


def pruned_error(topic: str, after: int, pruned: int) -> EventsPruned:
    """Returns the error for reading after an offset whose next events were pruned."""
    return EventsPruned(
        f"events of topic {topic!r} after offset {after} were pruned: "
        f"resume after offset {pruned} to read those that are left",
        resume_after=pruned,
    )
