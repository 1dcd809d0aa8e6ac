"""Cache of the contexts of recent model calls, so that the next turn does not read the store."""

from __future__ import annotations

from dataclasses import dataclass, field

from cachetools import FIFOCache, LRUCache

from holdfast.activities.weight import weight
from holdfast.types import Context, RunId, TranscriptRef

MAX_BYTES = 64 * 1024 * 1024  # of memory, over all runs; a worker of ten agents with long transcripts fits
MARKS = 4  # points per run that a call can refer to; the mirror is rarely more than a turn behind


@dataclass
class _Cached:
    context: Context
    size: int
    """Bytes of memory."""
    marks: FIFOCache[int, tuple[str, int]] = field(default_factory=lambda: FIFOCache(MARKS))
    """The digest of each entry and the number of messages up to it, by the entry's seq."""


class ContextCache:
    """The newest context of each active run; the least recently used runs are dropped.

    Args:
        max_bytes: limit of the memory of all contexts. A larger context is not cached.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._runs: LRUCache[RunId, _Cached] = LRUCache(max_bytes, getsizeof=lambda cached: cached.size)

    def get(self, run_id: RunId, ref: TranscriptRef) -> Context | None:
        """Returns the context as of `ref`; `None` if it is not cached or has another digest."""
        cached = self._runs.get(run_id)
        if cached is None:
            return None
        digest, count = cached.marks.get(ref.seq, ("", 0))
        if digest != ref.digest:
            return None
        return Context.model_construct(spec=cached.context.spec, messages=cached.context.messages[:count])

    def put(self, run_id: RunId, ref: TranscriptRef, context: Context) -> None:
        """Caches the context as of `ref`; the caller must not change it afterwards."""
        old = self._runs.pop(run_id, None)
        known = len(old.context.messages) if old else 0
        added = weight(context.messages[known:]) + (0 if old else weight(context.spec))
        cached = _Cached(context, (old.size if old else 0) + added)
        if old:
            cached.marks = old.marks
        cached.marks[ref.seq] = (ref.digest, len(context.messages))
        if cached.size <= self._runs.maxsize:
            self._runs[run_id] = cached

    def drop(self, run_id: RunId) -> None:
        """Drops the context of a run that has ended."""
        self._runs.pop(run_id, None)

    def __len__(self) -> int:
        return len(self._runs)
