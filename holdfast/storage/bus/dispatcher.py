"""Hands new events to the subscribers of one event loop: one watch and one read for all of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar
from weakref import WeakSet

from holdfast._util.logger import get_logger
from holdfast.errors import StoreUnavailable
from holdfast.storage.bus.log import EventLog, Page
from holdfast.storage.bus.subscription import PAGE, Subscription
from holdfast.storage.database import Watch

T = TypeVar("T")

log = get_logger(__name__)

PAUSE = 0.5  # seconds before a log that is away is asked again
LOOK_INTERVAL = 5.0  # seconds; a publisher that dies between writing and ringing delays its event by so much


@dataclass
class _Channel:
    """The live subscribers of a topic; one that nobody holds any longer goes by itself."""

    place: int
    """The offset up to which they were handed everything."""
    head: int | None = None
    """The topic's head when it was last read; None: it is to be read."""
    members: WeakSet[Subscription] = field(default_factory=WeakSet)


class Dispatcher:
    """Looks for news whenever the log rings, and reads the topics that have some.

    Args:
        events: where events come from.
    """

    def __init__(self, events: EventLog) -> None:
        self._log = events
        self._channels: dict[str, _Channel] = {}
        self._task: asyncio.Task[None] | None = None
        self._watch: Watch | None = None
        self._all: WeakSet[Subscription] = WeakSet()
        self._away = self._closed = False

    def subscription(self, topic: str, after: int | None) -> Subscription:
        """Makes a subscription."""
        made = Subscription(self, topic, after)
        self._all.add(made)
        return made

    async def head(self, topic: str) -> int:
        """A topic's head, as soon as the log can be asked."""
        return (await self._patiently(lambda: self._log.heads([topic])))[topic]

    async def page(self, topic: str, after: int, limit: int) -> Page:
        """A page, as soon as the log can be read."""
        return await self._patiently(lambda: self._log.read(topic, after, limit))

    def place(self, topic: str) -> int | None:
        """The offset up to which live subscribers of a topic were handed everything; None: there are none."""
        channel = self._channels.get(topic)
        return channel.place if channel else None

    def join(self, subscription: Subscription) -> None:
        """Makes a subscription live, which has everything that the others have."""
        channel = self._channels.setdefault(subscription.topic, _Channel(subscription.position))
        channel.members.add(subscription)
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        elif self._watch is not None:
            self._watch.notify()

    def leave(self, subscription: Subscription) -> None:
        """Takes a subscription out; with the last one the reading ends."""
        channel = self._channels.get(subscription.topic)
        if channel is not None:
            channel.members.discard(subscription)
        self._drop_empty()
        if not self._channels and self._task is not None:
            self._task.cancel()
            self._task = None

    def stop(self) -> None:
        """Ends all subscriptions."""
        self._closed = True
        for subscription in list(self._all):
            subscription.end()

    async def close(self) -> None:
        """Ends all subscriptions and waits until nothing is read any longer."""
        task = self._task
        self.stop()
        if task is not None:
            await asyncio.wait([task])

    def _drop_empty(self) -> None:
        for topic in [topic for topic, channel in self._channels.items() if not channel.members]:
            del self._channels[topic]

    async def _run(self) -> None:
        async with self._log.watch() as watch:
            self._watch = watch
            while self._channels:
                await self._patiently(self._look)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_INTERVAL):
                        await watch.changed()
                self._drop_empty()
            self._task = None  # who joins from here on starts another

    async def _look(self) -> None:
        heads = await self._log.heads(list(self._channels))
        for topic, head in heads.items():
            channel = self._channels.get(topic)
            if channel is not None and channel.head != head:
                await self._read(topic, channel)
                channel.head = head

    async def _read(self, topic: str, channel: _Channel) -> None:
        try:
            page = await self._log.read(topic, channel.place, PAGE)
            while self._hand_out(channel, page):
                page = await self._log.read(topic, channel.place, PAGE)
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must know
            for member in list(channel.members):
                member.end(error)

    def _hand_out(self, channel: _Channel, page: Page) -> bool:
        """Whether there is more."""
        channel.place = max(channel.place, page.end)
        for member in list(channel.members):
            member.offer(page.events)
        return not page.is_last and bool(channel.members)

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Asks until there is an answer.

        Raises:
            StopAsyncIteration: the bus was closed meanwhile.
        """
        while not self._closed:
            try:
                answer = await ask()
            except StoreUnavailable as error:
                if not self._away:
                    log.warning("the event bus is away, subscribers wait", reason=str(error))
                self._away = True
                await asyncio.sleep(PAUSE)
            else:
                self._away = False
                return answer
        raise StopAsyncIteration
