"""The event bus, on whatever log."""

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
from holdfast.storage.bus.subscription import Subscription, gone
from holdfast.storage.bus.validation import checked_texts, checked_topic, event_from


class Bus(EventBus):
    """See `holdfast.ports.EventBus`; may be used from several event loops.

    Args:
        log: keeps the events.
    """

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._committers: WeakKeyDictionary[AbstractEventLoop, Publisher] = WeakKeyDictionary()
        self._pumps: WeakKeyDictionary[AbstractEventLoop, Dispatcher] = WeakKeyDictionary()

    @override
    async def publish(
        self, topic: str, *items: Mapping[str, JsonValue], transient: bool = False, key: str | None = None
    ) -> int:
        publication = Publication(checked_topic(topic), checked_texts(items), transient, _checked_key(key, transient))
        committer = self._committers.setdefault(asyncio.get_running_loop(), Publisher(self._log))
        return await committer.commit(publication)

    @override
    async def forget(self, topic: str, upto: int) -> None:
        await self._log.forget(checked_topic(topic), upto)

    @override
    async def prune(self, before: datetime) -> int:
        if before.tzinfo is None:
            raise UsageError(f"events are pruned by a time with its zone, not {before!r}")
        return await self._log.prune(before)

    @override
    async def read(self, topic: str, after: int = 0, limit: int = 200) -> list[BusEvent]:
        if not isinstance(limit, int) or limit < 1:
            raise UsageError(f"at least one event is read, not {limit!r}")
        page = await self._log.read(checked_topic(topic), _checked_offset(after), limit)
        if 0 < after < page.pruned:
            raise gone(topic, after, page.pruned)
        return [event_from(stored) for stored in page.events]

    @override
    def subscribe(self, topic: str, after: int | None = None) -> Subscription:
        place = None if after is None else _checked_offset(after)
        pump = self._pumps.setdefault(asyncio.get_running_loop(), Dispatcher(self._log))
        return pump.subscription(checked_topic(topic), place)

    @override
    async def close(self) -> None:
        here = asyncio.get_running_loop()
        pumps, self._pumps = self._pumps, WeakKeyDictionary()
        for loop, pump in list(pumps.items()):
            if loop is here:
                await pump.close()
            elif not loop.is_closed():
                loop.call_soon_threadsafe(pump.stop)
        if committer := self._committers.get(here):
            await committer.close()


def _checked_offset(after: int) -> int:
    if not isinstance(after, int) or after < 0:
        raise UsageError(f"events are read after an offset, 0 for all of them, not {after!r}")
    return after


def _checked_key(key: str | None, transient: bool) -> str | None:
    if key is not None and transient:
        raise UsageError("a transient event takes no key: nobody would know it once it is forgotten")
    if key is not None and (not isinstance(key, str) or not key):
        raise UsageError(f"a key is text that is not empty, not {key!r}")
    return key
