"""Cache of the contexts of recent model calls, so that the next turn does not read the store."""

from __future__ import annotations

from dataclasses import dataclass, field

from cachetools import FIFOCache, LRUCache

from holdfast.types import Context, RunId, TranscriptRef

MAX_BYTES = 64 * 1024 * 1024  # of text, over all runs; a worker of ten agents with long transcripts fits
MESSAGE_BYTES = 200  # approximate size of a message without its text
MARKS = 4  # points per run that a call can refer to; the mirror is rarely more than a turn behind


@dataclass
class _Cached:
    context: Context
    size: int
    """Approximate bytes."""
    marks: FIFOCache[int, tuple[str, int]] = field(default_factory=lambda: FIFOCache(MARKS))
    """The digest of each entry and the number of messages up to it, by the entry's seq."""


class ContextCache:
    """The newest context of each run; the least recently used runs are dropped.

    Args:
        max_bytes: approximate limit of all text. A larger context is not cached.
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
        added = sum(len(message.content) + MESSAGE_BYTES for message in context.messages[known:])
        cached = _Cached(context, (old.size if old else 0) + added)
        if old:
            cached.marks = old.marks
        cached.marks[ref.seq] = (ref.digest, len(context.messages))
        if cached.size <= self._runs.maxsize:
            self._runs[run_id] = cached
