"""Ids of spans: random, except those of runs, which are derived from the run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from typing_extensions import override

CHOSEN: ContextVar[tuple[int, int] | None] = ContextVar("chosen_span_ids", default=None)


class RunSpanIds(IdGenerator):
    """Generates random ids, or the ones that were chosen."""

    def __init__(self) -> None:
        self._random = RandomIdGenerator()

    @contextmanager
    def chosen(self, trace_id: str, span_id: str) -> Iterator[None]:
        """Chooses the ids of the spans that start in the body."""
        token = CHOSEN.set((int(trace_id, 16), int(span_id, 16)))
        try:
            yield
        finally:
            CHOSEN.reset(token)

    @override
    def generate_trace_id(self) -> int:
        chosen = CHOSEN.get()
        return chosen[0] if chosen else self._random.generate_trace_id()

    @override
    def generate_span_id(self) -> int:
        chosen = CHOSEN.get()
        return chosen[1] if chosen else self._random.generate_span_id()
