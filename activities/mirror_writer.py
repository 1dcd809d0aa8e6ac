"""Writes to the mirror, each followed by its announcement."""

from __future__ import annotations

from holdfast.activities.announcer import Announcer
from holdfast.errors import StoreUnavailable
from holdfast.ports import Store
from holdfast.ports.telemetry import NoTelemetry, Telemetry
from holdfast.types import EntryBatch, TranscriptRef


class MirrorWriter:
    """Appends batches to the mirror and announces them on the event bus; safe to repeat."""

    def __init__(self, store: Store, announcer: Announcer, telemetry: Telemetry | None = None) -> None:
        self._store = store
        self._announcer = announcer
        self._telemetry = telemetry or NoTelemetry()

    async def append(self, batch: EntryBatch) -> TranscriptRef:
        """Appends a batch and returns the mirror's newest entry.

        Raises:
            MirrorGap: the mirror lacks entries before the batch.
            UsageError: the batch is inconsistent.
            StoreUnavailable: it could not be written or published; the call can be repeated safely.
        """
        try:
            head = await self._store.append(batch)
            await self._announcer.announce(batch)
        except StoreUnavailable:
            self._telemetry.not_mirrored()
            raise
        self._telemetry.mirrored(batch)
        return head
