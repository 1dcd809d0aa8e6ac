"""Progress of a long operation."""

from __future__ import annotations

from time import monotonic

from holdfast.cli.render.output import Output
from holdfast.cli.render.text import count, duration

INTERVAL = 5.0  # seconds between two lines


class Progress:
    """Reports at intervals how far an operation has come.

    Args:
        out: receives the reports.
    """

    def __init__(self, out: Output) -> None:
        self._out = out
        self._began = self._last = monotonic()

    @property
    def seconds(self) -> float:
        """Since it began."""
        return monotonic() - self._began

    def report(self, number: int, noun: str, done: str = "") -> None:
        """Reports a number of things, if the interval has passed; may be called as often as you like."""
        now = monotonic()
        if now - self._last >= INTERVAL:
            self._last = now
            self._out.note(" ".join(filter(None, (count(number, noun), done, "after", duration(self.seconds)))))
