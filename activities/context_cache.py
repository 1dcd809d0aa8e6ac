"""Keeps the contexts of recent model calls, so that the next turn need not ask the store."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from holdfast.types import Context, RunId, TranscriptRef

MAX_BYTES = 64 * 1024 * 1024  # of text, over all runs; a worker of ten agents with long transcripts fits
MARKS = 4  # points per run that can be referred to; the mirror is seldom more than a turn behind


@dataclass
class _Cached:
    context: Context
    marks: OrderedDict[int, tuple[str, int]]  # entry seq -> digest, number of messages up to there
    size: int


class ContextCache:
    """The least recently used run goes first."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._size = 0
        self._runs: OrderedDict[RunId, _Cached] = OrderedDict()

    def get(self, run_id: RunId, ref: TranscriptRef) -> Context | None:
        """The context as of `ref`; None when it is not known, or has another digest."""
        cached = self._runs.get(run_id)
        if cached is None:
            return None
        self._runs.move_to_end(run_id)
        digest, count = cached.marks.get(ref.seq, ("", 0))
        if digest != ref.digest:
            return None
        return Context.model_construct(spec=cached.context.spec, messages=cached.context.messages[:count])

    def put(self, run_id: RunId, ref: TranscriptRef, context: Context) -> None:
        """Remembers the context as of `ref`; it must not be changed afterwards."""
        old = self._runs.pop(run_id, None)
        marks = old.marks if old else OrderedDict()
        marks[ref.seq] = (ref.digest, len(context.messages))
        while len(marks) > MARKS:
            marks.popitem(last=False)
        known = len(old.context.messages) if old else 0
        size = (old.size if old else 0) + sum(len(message.content) + 200 for message in context.messages[known:])
        self._size += size - (old.size if old else 0)
        self._runs[run_id] = _Cached(context, marks, size)
        while self._size > self._max_bytes and len(self._runs) > 1:
            _, dropped = self._runs.popitem(last=False)
            self._size -= dropped.size
