"""Writes to the mirror, and to those who follow a run."""

from __future__ import annotations

from holdfast.activities.announcer import Announcer
from holdfast.ports import Store
from holdfast.types import EntryBatch, TranscriptRef


class MirrorWriter:
    """Appends a batch to the mirror and publishes that it did; safe to repeat."""

    def __init__(self, store: Store, announcer: Announcer) -> None:
        self._store = store
        self._announcer = announcer

    async def append(self, batch: EntryBatch) -> TranscriptRef:
        """Returns the mirror's newest entry.

        Raises:
            MirrorGap: the mirror lacks entries before the batch.
            UsageError: the batch contradicts itself.
            StoreUnavailable: it could not be written or published; repeating it is safe.
        """
        head = await self._store.append(batch)
        await self._announcer.announce(batch)
        return head
