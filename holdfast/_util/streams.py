"""The standard streams of a process, kept open whatever code of others does to them."""

from __future__ import annotations

import fcntl
import os
import sys
from contextlib import suppress
from typing import Self, TextIO

FIRST_KEPT = 10  # lowest number of a duplicate: code that closes "all" streams closes 0, 1 and 2
NAMES = {0: "standard input", 1: "standard output", 2: "standard error"}


def open_closed() -> None:
    """Opens the standard streams with which the process was started closed, as in `command >&-`, on the null device.

    Otherwise Python has no `sys.stdout`, and the next file or connection gets the number of the stream.
    """
    for number, name in ((0, "stdin"), (1, "stdout"), (2, "stderr")):
        if not _is_open(number):
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number, inheritable=True)
                os.close(opened)
            os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", encoding="utf-8", closefd=False))


class StandardStreams:
    """Private duplicates of file descriptors 0, 1 and 2.

    A descriptor that is closed is soon reused, often by a connection, and whatever is printed then goes there. So
    `sys.stdout`, `sys.stderr` and the log write to the duplicates, and closed descriptors are opened again.
    """

    _of_process: Self | None = None

    def __init__(self) -> None:
        self._kept: dict[int, int] = {}
        for number in NAMES:
            with suppress(OSError):  # the process was started without it
                self._kept[number] = fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, FIRST_KEPT)

    @classmethod
    def protect(cls) -> Self:
        """Protects the streams of this process from now on."""
        if cls._of_process is None:
            cls._of_process = cls()
            cls._of_process.replace_closed(also_open=True)
        return cls._of_process

    @classmethod
    def restore(cls) -> list[str]:
        """Opens again what was closed, if the streams are protected; returns the names of what was closed."""
        return cls._of_process.reopen() if cls._of_process else []

    def writer(self, number: int) -> TextIO | None:
        """Returns a new text stream that writes each line at once; `None` if the process has no such stream."""
        if number not in self._kept:
            return None
        return open(self._kept[number], "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)

    def reopen(self) -> list[str]:
        """Opens closed descriptors again and returns their names."""
        closed = [number for number in self._kept if not _is_open(number)]
        for number in closed:
            os.dup2(self._kept[number], number)
        self.replace_closed()
        return [NAMES[number] for number in closed]

    def replace_closed(self, *, also_open: bool = False) -> None:
        """Replaces Python's closed streams, or all of them, by new ones."""
        for name, number in (("stdout", 1), ("stderr", 2)):
            stream = getattr(sys, name)
            if also_open or stream is None or stream.closed:
                setattr(sys, name, self.writer(number) or stream)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
