"""Announcements of new mirror entries on the event bus."""

from __future__ import annotations

import asyncio

from holdfast._util.logger import get_logger
from holdfast.errors import StoreUnavailable
from holdfast.events import INBOX, RUNS, run_event, run_topic, wait_event
from holdfast.ports import EventBus
from holdfast.types import Entry, EntryBatch, RunId, RunStatus

log = get_logger(__name__)

ALL_OFFSETS = 2**63 - 1
NOTIFY_INTERVAL = 0.1  # seconds between two notifications of one run: progress appears smooth


class Announcer:
    """Publishes each status of a run, and what waits for a person, once; and that a run has new entries."""

    def __init__(self, bus: EventBus) -> None:
        self._bus = bus
        self._pending: dict[RunId, EntryBatch] = {}
        """The newest batch of each run of which its followers must be notified."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def announce(self, batch: EntryBatch) -> None:
        """Publishes the events of a batch that the mirror has acknowledged.

        Raises:
            StoreUnavailable: a status could not be published; the call can be repeated safely.
        """
        for entry in batch.entries:
            if status := _status(entry):
                event = run_event(batch.run_id, batch.summary.agent, status)
                await self._bus.publish(RUNS, event, key=f"{batch.run_id}/{entry.digest}")
            if waits := wait_event(entry, batch.run_id, batch.summary.agent):
                await self._bus.publish(INBOX, waits, key=f"{batch.run_id}/{entry.digest}")
        is_notifying = batch.run_id in self._pending
        self._pending[batch.run_id] = batch
        if not is_notifying:
            task = asyncio.create_task(self._notify_followers(batch.run_id))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _notify_followers(self, run_id: RunId) -> None:
        """Wakes the followers of a run at once, and at most once per NOTIFY_INTERVAL.

        It is an optimization: without it, they find the entries when they poll.
        """
        notified = None
        try:
            while (batch := self._pending[run_id]) is not notified:
                await self._publish(batch)
                notified = batch
                if not batch.summary.status.is_final:
                    await asyncio.sleep(NOTIFY_INTERVAL)
        finally:
            del self._pending[run_id]

    async def _publish(self, batch: EntryBatch) -> None:
        topic, head = run_topic(batch.run_id), batch.entries[-1].seq
        offset = ALL_OFFSETS
        try:
            if self._bus.may_have_subscribers():  # who subscribes later reads the entries first
                offset = await self._bus.publish(topic, {"kind": "entries", "head": head}, ephemeral=True)
            if batch.summary.status.is_final:
                await self._bus.discard(topic, offset - 1)
        except StoreUnavailable as error:
            log.debug("followers were not notified of new entries", run_id=batch.run_id, reason=str(error))


def _status(entry: Entry) -> RunStatus | None:
    """Returns the status that an entry sets; `None` if the entry does not change it."""
    match entry.kind:
        case "start":
            return RunStatus.RUNNING
        case "status":
            return RunStatus(entry.data["status"])
        case "finish":
            return RunStatus(entry.data["result"]["status"])
    return None
