"""Says now and then how far a long work has come."""

from __future__ import annotations

from time import monotonic

from holdfast.cli.render.output import Output
from holdfast.cli.render.text import count, duration

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

    def tell(self, number: int, noun: str, done: str = "") -> None:
        """Says what has come so far, if it is time for another word; may be called as often as one likes."""
        now = monotonic()
        if now - self._last >= INTERVAL:
            self._last = now
            self._out.note(" ".join(filter(None, (count(number, noun), done, "after", duration(self.seconds)))))
