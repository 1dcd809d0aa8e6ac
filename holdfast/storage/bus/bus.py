"""The event bus, on any event log."""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop
from collections.abc import Mapping
from datetime import datetime
from weakref import WeakKeyDictionary

from pydantic import JsonValue
from typing_extensions import override

from holdfast.errors import UsageError
from holdfast.events import BusEvent
from holdfast.ports import EventBus
from holdfast.storage.bus.dispatcher import Dispatcher
from holdfast.storage.bus.log import EventLog, Publication
from holdfast.storage.bus.publisher import Publisher
from holdfast.storage.bus.subscription import Subscription, pruned_error
from holdfast.storage.bus.validation import checked_texts, checked_topic, event_from


class Bus(EventBus):
    """An EventBus; it may be used from several event loops.

    Args:
        log: stores the events.
    """

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._publishers: WeakKeyDictionary[AbstractEventLoop, Publisher] = WeakKeyDictionary()
        self._dispatchers: WeakKeyDictionary[AbstractEventLoop, Dispatcher] = WeakKeyDictionary()

    @override
    async def publish(
        self, topic: str, *items: Mapping[str, JsonValue], ephemeral: bool = False, key: str | None = None
    ) -> int:
        publication = Publication(checked_topic(topic), checked_texts(items), ephemeral, _checked_key(key, ephemeral))
        publisher = self._publishers.setdefault(asyncio.get_running_loop(), Publisher(self._log))
        return await publisher.publish(publication)

    @override
    async def discard(self, topic: str, upto: int) -> None:
        await self._log.discard(checked_topic(topic), upto)

    @override
    async def prune(self, before: datetime) -> int:
        if before.tzinfo is None:
            raise UsageError(f"prune needs a time with a time zone, not {before!r}")
        return await self._log.prune(before)

    @override
    async def read(self, topic: str, after: int = 0, limit: int = 200) -> list[BusEvent]:
        if not isinstance(limit, int) or limit < 1:
            raise UsageError(f"limit must be a whole number of at least 1, not {limit!r}")
        page = await self._log.read(checked_topic(topic), _checked_offset(after), limit)
        if 0 < after < page.pruned:
            raise pruned_error(topic, after, page.pruned)
        return [event_from(stored) for stored in page.events]

    @override
    def subscribe(self, topic: str, after: int | None = None) -> Subscription:
        place = None if after is None else _checked_offset(after)
        dispatcher = self._dispatchers.setdefault(asyncio.get_running_loop(), Dispatcher(self._log))
        return dispatcher.subscription(checked_topic(topic), place)

    @override
    def may_have_subscribers(self) -> bool:
        return self._log.is_watched()

    @override
    async def close(self) -> None:
        current = asyncio.get_running_loop()
        dispatchers, self._dispatchers = self._dispatchers, WeakKeyDictionary()
        for loop, dispatcher in list(dispatchers.items()):
            if loop is current:
                await dispatcher.close()
            elif not loop.is_closed():
                loop.call_soon_threadsafe(dispatcher.stop)
        if publisher := self._publishers.get(current):
            await publisher.close()


def _checked_offset(after: int) -> int:
    if not isinstance(after, int) or after < 0:
        raise UsageError(f"after must be an offset, or 0 for all events, not {after!r}")
    return after


def _checked_key(key: str | None, ephemeral: bool) -> str | None:
    if key is not None and ephemeral:
        raise UsageError("an ephemeral event cannot have a key, because it is not kept: leave the key out")
    if key is not None and (not isinstance(key, str) or not key):
        raise UsageError(f"key must be text that is not empty, not {key!r}")
    return key
