"""Cache of the contexts of recent model calls, so that the next turn does not read the store."""

from __future__ import annotations

from cachetools import FIFOCache, LRUCache

from holdfast.activities.weight import weight
from holdfast.types import Context, RunId, TranscriptRef

MAX_BYTES = 64 * 1024 * 1024  # of memory, over all runs; a worker of ten agents with long transcripts fits
MARKS = 4  # points per run that a call can refer to; the mirror is rarely more than a turn behind


class _Cached:
    """The contexts of one run."""

    def __init__(self, size: int) -> None:
        self.size = size
        """Bytes of memory."""
        self.marks: FIFOCache[int, tuple[str, Context]] = FIFOCache(MARKS)
        """The digest of each entry and the context up to it, by the entry's seq; contexts share their messages."""
        self.newest: Context | None = None


class ContextCache:
    """The newest contexts of each active run; the least recently used runs are dropped.

    Args:
        max_bytes: limit of the memory of all contexts. A larger context is not cached.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._runs: LRUCache[RunId, _Cached] = LRUCache(max_bytes, getsizeof=lambda cached: cached.size)

    def get(self, run_id: RunId, ref: TranscriptRef) -> Context | None:
        """Returns the context as of `ref`; `None` if it is not cached or has another digest."""
        cached = self._runs.get(run_id)
        digest, context = cached.marks.get(ref.seq, ("", None)) if cached else ("", None)
        return context if digest == ref.digest else None

    def put(self, run_id: RunId, ref: TranscriptRef, context: Context) -> None:
        """Caches the context as of `ref`; neither it nor its list of messages must be changed afterwards."""
        old = self._runs.pop(run_id, None)
        cached = _Cached(_size(context, old))
        if old:
            cached.marks = old.marks
        cached.marks[ref.seq] = (ref.digest, context)
        cached.newest = context
        if cached.size <= self._runs.maxsize:
            self._runs[run_id] = cached

    def drop(self, run_id: RunId) -> None:
        """Drops the context of a run that has ended."""
        self._runs.pop(run_id, None)

    def __len__(self) -> int:
        return len(self._runs)


def _size(context: Context, old: _Cached | None) -> int:
    """Returns the bytes of a context, from those of the one before if it only adds messages to it."""
    if old is not None and old.newest is not None:
        known = len(old.newest.messages)
        is_longer = len(context.messages) >= known
        if is_longer and (not known or context.messages[known - 1] is old.newest.messages[-1]):
            return old.size + weight(context.messages[known:])
    return weight(context.messages) + weight(context.spec)
