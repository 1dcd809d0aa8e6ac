"""Tells the event bus what has reached the mirror."""

from __future__ import annotations

import asyncio

import structlog

from holdfast.errors import StoreUnavailable
from holdfast.events import RUNS, run_event, run_topic
from holdfast.ports import EventBus
from holdfast.types import Entry, EntryBatch, RunStatus

log = structlog.get_logger()


class Announcer:
    """Publishes what becomes of runs, each status once however often it is told; and that there are new entries."""

    def __init__(self, bus: EventBus) -> None:
        self._bus = bus
        self._tasks: set[asyncio.Task[None]] = set()

    async def announce(self, batch: EntryBatch) -> None:
        """Publishes what a batch tells, which the mirror has.

        Raises:
            StoreUnavailable: a status could not be published; doing it all again is safe.
        """
        for entry in batch.entries:
            if status := _status(entry):
                event = run_event(batch.run_id, batch.summary.agent, status)
                await self._bus.publish(RUNS, event, key=f"{batch.run_id}/{batch.chain}/{entry.seq}")
        task = asyncio.create_task(self._note(batch))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _note(self, batch: EntryBatch) -> None:
        """Wakes those who follow the run; nobody waits for it, and nothing is lost without it."""
        topic, head = run_topic(batch.run_id), batch.entries[-1].seq
        try:
            offset = await self._bus.publish(topic, {"kind": "entries", "head": head}, transient=True)
            if batch.summary.status.is_final:
                await self._bus.forget(topic, offset - 1)
        except StoreUnavailable as error:
            log.debug("nobody is told of new entries", run_id=batch.run_id, reason=str(error))


def _status(entry: Entry) -> RunStatus | None:
    """The status that a run has from an entry on, where it is another than before."""
    match entry.kind:
        case "start":
            return RunStatus.RUNNING
        case "status":
            return RunStatus(entry.data["status"])
        case "finish":
            return RunStatus(entry.data["result"]["status"])
    return None
