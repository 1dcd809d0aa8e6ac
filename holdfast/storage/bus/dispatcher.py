"""A dispatcher, which reads new events once for all subscriptions of an event loop."""

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

PAUSE = 0.5  # seconds between attempts while the log is unavailable
POLL_INTERVAL = 5.0  # seconds; the delay of an event whose publisher died between writing and announcing it


@dataclass
class _Channel:
    """The live subscriptions of a topic; the references are weak, so abandoned ones disappear."""

    place: int
    """The offset up to which they were offered all events."""
    head: int | None = None
    """The topic's newest offset at the last read; `None` means that it must be read."""
    members: WeakSet[Subscription] = field(default_factory=WeakSet)


class Dispatcher:
    """Reads the topics that have new events, whenever the log's watch is notified.

    Args:
        events: the log to read.
    """

    def __init__(self, events: EventLog) -> None:
        self._log = events
        self._channels: dict[str, _Channel] = {}
        self._task: asyncio.Task[None] | None = None
        self._watch: Watch | None = None
        self._all: WeakSet[Subscription] = WeakSet()
        self._unavailable = self._closed = False

    def subscription(self, topic: str, after: int | None) -> Subscription:
        """Returns a new subscription."""
        made = Subscription(self, topic, after)
        self._all.add(made)
        return made

    async def head(self, topic: str) -> int:
        """Returns a topic's newest offset; waits while the log is unavailable."""
        return (await self._retry(lambda: self._log.heads([topic])))[topic]

    async def page(self, topic: str, after: int, limit: int) -> Page:
        """Returns a page; waits while the log is unavailable."""
        return await self._retry(lambda: self._log.read(topic, after, limit))

    def place(self, topic: str) -> int | None:
        """Returns the offset up to which live subscribers of a topic have all events; `None` if there are none."""
        channel = self._channels.get(topic)
        return channel.place if channel else None

    def join(self, subscription: Subscription) -> None:
        """Makes a subscription live; it must have caught up with the others."""
        channel = self._channels.setdefault(subscription.topic, _Channel(subscription.position))
        channel.members.add(subscription)
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        elif self._watch is not None:
            self._watch.notify()

    def leave(self, subscription: Subscription) -> None:
        """Removes a subscription; reading stops with the last one."""
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
        """Ends all subscriptions and waits until reading has stopped."""
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
                await self._retry(self._check)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL_INTERVAL):
                        await watch.changed()
                self._drop_empty()
            self._task = None  # a subscription that joins from here on starts another task

    async def _check(self) -> None:
        heads = await self._log.heads(list(self._channels))
        for topic, head in heads.items():
            channel = self._channels.get(topic)
            if channel is not None and channel.head != head:
                await self._read(topic, channel)
                channel.head = head

    async def _read(self, topic: str, channel: _Channel) -> None:
        try:
            page = await self._log.read(topic, channel.place, PAGE)
            while self._offer(channel, page):
                page = await self._log.read(topic, channel.place, PAGE)
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - subscribers get every error
            for member in list(channel.members):
                member.end(error)

    def _offer(self, channel: _Channel, page: Page) -> bool:
        """Offers a page to the members; returns whether to read the next one."""
        channel.place = max(channel.place, page.end)
        for member in list(channel.members):
            member.offer(page.events)
        return not page.is_last and bool(channel.members)

    async def _retry(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Calls `ask` until the log is available.

        Raises:
            StopAsyncIteration: the bus was closed.
        """
        while not self._closed:
            try:
                answer = await ask()
            except StoreUnavailable as error:
                if not self._unavailable:
                    log.warning("the event bus is unavailable, subscribers wait", reason=str(error))
                self._unavailable = True
                await asyncio.sleep(PAUSE)
            else:
                self._unavailable = False
                return answer
        raise StopAsyncIteration
