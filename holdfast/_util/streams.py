"""The standard streams of a process, kept open whatever code of others does to them."""

from __future__ import annotations

import errno
import fcntl
import io
import os
import stat
import subprocess
import sys
from contextlib import suppress
from typing import Self, TextIO

from typing_extensions import Buffer, override

from holdfast._util import relay

FULL = {errno.ENOSPC, errno.EDQUOT}
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
    `sys.stdout`, `sys.stderr` and the log write to the duplicates, and closed descriptors are opened again. What cannot
    be written as a disk is full is lost without an error.
    """

    _of_process: Self | None = None

    def __init__(self) -> None:
        self._kept: dict[int, int] = {}
        for number in NAMES:
            with suppress(OSError):  # the process was started without it
                self._kept[number] = _duplicate(number)
        self._reopened = dict(self._kept)
        """What a closed descriptor is replaced by; see `relay`."""

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
        raw = _TolerantFile(self._kept[number], "w", closefd=False)
        return io.TextIOWrapper(
            io.BufferedWriter(raw), encoding="utf-8", errors="backslashreplace", line_buffering=True
        )

    def relay(self) -> None:
        """Lets descriptors 1 and 2 that lead to a file lead there through a process to which writing never fails.

        Native libraries abort if they cannot write a message.
        """
        files = [number for number in (2, 1) if stat.S_ISREG(os.fstat(self._kept[number]).st_mode)]
        for number in files:
            if number == 1 and 2 in files and os.path.sameopenfile(self._kept[1], self._kept[2]):
                self._reopened[1] = self._reopened[2]
            else:
                self._reopened[number] = _relayed(self._kept[number])
            os.dup2(self._reopened[number], number)

    def reopen(self) -> list[str]:
        """Opens closed descriptors again and returns their names."""
        closed = [number for number in self._kept if not _is_open(number)]
        for number in closed:
            os.dup2(self._reopened[number], number)
        self.replace_closed()
        return [NAMES[number] for number in closed]

    def replace_closed(self, *, also_open: bool = False) -> None:
        """Replaces Python's closed streams, or all of them, by new ones."""
        for name, number in (("stdout", 1), ("stderr", 2)):
            stream = getattr(sys, name)
            if also_open or stream is None or stream.closed:
                setattr(sys, name, self.writer(number) or stream)


class _TolerantFile(io.FileIO):
    """A file to which writing does not fail if the disk is full; the text is lost."""

    @override
    def write(self, data: Buffer, /) -> int:
        try:
            return super().write(data) or 0
        except OSError as error:
            if error.errno not in FULL:
                raise
            return memoryview(data).nbytes


def _duplicate(number: int) -> int:
    return fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, FIRST_KEPT)


def _relayed(log: int) -> int:
    """Starts the process that writes to a log, and returns a descriptor that leads to it."""
    reader, writer = os.pipe()
    try:
        process = subprocess.Popen(  # noqa: S603 - a program of ours
            [sys.executable, "-I", "-S", relay.__file__],
            stdin=reader,
            stdout=log,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        process.returncode = 0  # it outlives this process, to write its last words
        return _duplicate(writer)
    finally:
        os.close(reader)
        os.close(writer)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
