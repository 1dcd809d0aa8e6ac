"""A store that a test can make unavailable."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.errors import StoreUnavailable
from holdfast.storage.mirror.memory import MemoryStore
from holdfast.types import Context, Entry, EntryBatch, MirroredRun, RunId, TranscriptRef


class SwitchedStore(MemoryStore):
    """A store in memory that a test can switch off like a server, and that counts its calls."""

    def __init__(self, *, on: bool = True) -> None:
        super().__init__()
        self.on = on
        self.contexts = 0
        self.is_readable = False
        """Whether the rows of runs can be read while the store is switched off."""

    async def append(self, batch: EntryBatch) -> TranscriptRef:
        self._check()
        return await super().append(batch)

    async def context(self, run_id: RunId, upto: TranscriptRef, later: Sequence[Entry] = ()) -> Context:
        self.contexts += 1
        self._check()
        return await super().context(run_id, upto, later)

    async def entries(self, run_id: RunId, after: int = -1, limit: int = 1000) -> list[Entry]:
        self._check()
        return await super().entries(run_id, after, limit)

    async def run(self, run_id: RunId) -> MirroredRun | None:
        if not self.is_readable:
            self._check()
        return await super().run(run_id)

    def _check(self) -> None:
        if not self.on:
            raise StoreUnavailable("the store is switched off")
