"""The inbox: what waits for a person, over all runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta

from temporalio.client import Client, WorkflowExecution

from holdfast._util.logger import get_logger
from holdfast.errors import HoldfastError, StoreUnavailable, SubscriberTooSlow, TemporalUnavailable
from holdfast.events import INBOX
from holdfast.inbox import OpenWait
from holdfast.ports import BusSource, EventBus, EventSubscription, MirrorSource
from holdfast.progress import FOR_PEOPLE, Wait
from holdfast.search_attributes import AGENT_NAME, AGENT_WAITS_FOR
from holdfast.temporal.connection import translated_errors
from holdfast.temporal.executions import newest_first, quoted, started_at
from holdfast.temporal.run_log import TemporalRunLog
from holdfast.temporal.visibility import explained_rejections

log = get_logger(__name__)

LIMIT = 1_000  # of what is listed, oldest first
MIRROR_TIMEOUT = 5.0  # seconds to wait for the mirror, before Temporal is asked
QUERIES_AT_ONCE = 10  # of runs, if Temporal is asked; each may replay a run
POLL_INTERVAL = 2.0  # seconds between two looks without a bus; with one, each event causes a look
QUERY_TIMEOUT = timedelta(seconds=3)
"""A worker answers within milliseconds, or seconds if it has to replay a run; else only the kind of a wait is known."""
UNKNOWN = "unknown, as no worker answers for the run: see `show`"


class Inbox:
    """Lists what waits for a person, from the mirror or, if it is unavailable, from Temporal.

    Args:
        client: connected to the namespace of the runs.
        mirror: returns the mirror.
        bus: returns the event bus, which tells at once about what is new.
    """

    def __init__(
        self,
        client: Client,
        mirror: MirrorSource | None = None,
        bus: BusSource | None = None,
    ) -> None:
        self._client = client
        self._log = TemporalRunLog(client, query_timeouts=(QUERY_TIMEOUT,), gives_up=True)
        self._mirror = mirror
        self._bus = bus

    async def waits(self) -> list[OpenWait]:
        """Returns what waits for a person, oldest first.

        Raises:
            TemporalUnavailable: neither the mirror nor Temporal is available.
        """
        store = self._mirror() if self._mirror else None
        if store is None:
            return await self._from_temporal()
        try:
            async with asyncio.timeout(MIRROR_TIMEOUT):
                return await store.open_waits(FOR_PEOPLE, LIMIT)
        except (StoreUnavailable, TimeoutError) as error:
            log.info("the mirror is unavailable; asking Temporal for the inbox", reason=str(error))
            return await self._from_temporal()

    async def watch(self) -> AsyncIterator[OpenWait]:
        """Yields what waits for a person now, and then whatever is new, without end."""
        seen: set[tuple[str, str, str]] = set()
        async with AsyncExitStack() as stack:
            news = await self._subscribed(stack)
            while True:
                found = await self.waits()
                for each in found:
                    if _key(each) not in seen:
                        yield each
                seen = {_key(each) for each in found}
                await self._until_changed(news)

    async def _subscribed(self, stack: AsyncExitStack) -> EventSubscription | None:
        bus: EventBus | None = self._bus() if self._bus else None
        return await stack.enter_async_context(bus.subscribe(INBOX)) if bus else None

    async def _until_changed(self, news: EventSubscription | None) -> None:
        """Waits for an event; as one may be lost with its process, not for ever."""
        if news is None:
            await asyncio.sleep(POLL_INTERVAL)
            return
        try:
            async with asyncio.timeout(POLL_INTERVAL):
                await anext(news)
        except (TimeoutError, StopAsyncIteration, SubscriberTooSlow):
            await asyncio.sleep(0)

    async def _from_temporal(self) -> list[OpenWait]:
        kinds = ", ".join(map(quoted, sorted(FOR_PEOPLE)))
        query = f"WorkflowType = 'AgentRun' AND ExecutionStatus = 'Running' AND {AGENT_WAITS_FOR.name} IN ({kinds})"
        with translated_errors():
            async with explained_rejections(self._client):
                executions = await newest_first(self._client, query, LIMIT)
        slots = asyncio.Semaphore(QUERIES_AT_ONCE)

        async def ask(execution: WorkflowExecution) -> list[OpenWait]:
            async with slots:
                return await self._waits_of(execution)

        found = await asyncio.gather(*map(ask, executions))
        return sorted((wait for waits in found for wait in waits), key=lambda each: each.wait.since)

    async def _waits_of(self, execution: WorkflowExecution) -> list[OpenWait]:
        """Returns what a run waits for; if no worker answers, only the kinds are known."""
        agent = execution.typed_search_attributes.get(AGENT_NAME) or "unknown"
        try:
            waits = (await self._log.progress(execution.id)).waits_for
        except TemporalUnavailable:
            raise
        except HoldfastError:
            waits = []
        if not waits:
            kinds = execution.typed_search_attributes.get(AGENT_WAITS_FOR) or ()
            waits = [Wait(id="", kind=kind, since=started_at(execution), what=UNKNOWN) for kind in kinds]
        return [OpenWait(run_id=execution.id, agent=agent, wait=wait) for wait in waits if wait.kind in FOR_PEOPLE]


def _key(found: OpenWait) -> tuple[str, str, str]:
    return found.run_id, found.wait.id, found.wait.since.isoformat()
