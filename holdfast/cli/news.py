"""Says now and then how far a long work has come."""

from __future__ import annotations

from time import monotonic

from holdfast.cli.output import Output
from holdfast.cli.text import duration

INTERVAL = 5.0  # seconds between two words


class News:
    """Tells people who wait.

    Args:
        out: where they read it.
    """

    def __init__(self, out: Output) -> None:
        self._out = out
        self._began = self._last = monotonic()

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return monotonic() - self._began

    @property
    def is_due(self) -> bool:
        """Whether it is time for another word."""
        return monotonic() - self._last >= INTERVAL

    def tell(self, done: str) -> None:
        """Says what has been done so far."""
        self._last = monotonic()
        self._out.note(f"{done} after {duration(self.seconds)}")
