"""Cancellation of a call, as the code of its tool sees it in whichever thread it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable

from holdfast._util.logger import get_logger

log = get_logger(__name__)


class Cancellation:
    """Whether a call was cancelled, and what is to be done then.

    A thread cannot be stopped from outside, so a tool that runs in one looks at `is_cancelled`, or says what interrupts
    it with `add`. An async tool receives a CancelledError as well.
    """

    def __init__(self) -> None:
        self._cancelled = threading.Event()
        self._guard = threading.Lock()
        self._callbacks: list[Callable[[], object]] = []
        self.is_observed = False
        """Whether the tool has looked, so that it is worth waiting for it to end by itself."""

    @property
    def is_cancelled(self) -> bool:
        """Whether the call was cancelled, or has exceeded its timeout."""
        self.is_observed = True
        return self._cancelled.is_set()

    def add(self, callback: Callable[[], object]) -> None:
        """Adds a function without arguments, which is called once in a thread when the call is cancelled."""
        self.is_observed = True
        with self._guard:
            if not self._cancelled.is_set():
                self._callbacks.append(callback)
                return
        self._call([callback])

    def cancel(self) -> None:
        """Cancels the call; returns at once, also if a function that was added blocks."""
        with self._guard:
            if self._cancelled.is_set():
                return
            self._cancelled.set()
            callbacks, self._callbacks = self._callbacks, []
        if callbacks:
            threading.Thread(target=self._call, args=(callbacks[::-1],), name="tool-cleanup", daemon=True).start()

    @staticmethod
    def _call(callbacks: list[Callable[[], object]]) -> None:
        for callback in callbacks:
            try:
                callback()
            except Exception:
                log.exception("the clean-up of a cancelled tool failed")
