"""A log that is read while it is written."""

from __future__ import annotations

import codecs
import os
from collections import deque
from pathlib import Path

CHUNK = 1 << 20  # bytes read at once
BYTES_PER_LINE = 2_000  # at most, of the lines that are shown; longer ones are cut at their beginning


class LogFile:
    """Reads the end of a log, and then what is added to it; it may be rotated, or appear later.

    Args:
        path: the log.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inode = 0
        self._position = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def tail(self, lines: int) -> str:
        """Returns the last lines; `added` continues after them."""
        try:
            with self._path.open("rb") as stream:
                self._inode = os.fstat(stream.fileno()).st_ino
                size = stream.seek(0, os.SEEK_END)
                stream.seek(max(0, size - lines * BYTES_PER_LINE))
                kept = deque(stream, maxlen=lines)
                self._position = stream.tell()
        except FileNotFoundError:
            return ""
        return self._decoder.decode(b"".join(kept))

    def added(self) -> str:
        """Returns what was added since the last call."""
        try:
            with self._path.open("rb") as stream:
                found = os.fstat(stream.fileno())
                if found.st_ino != self._inode or found.st_size < self._position:
                    self._inode, self._position = found.st_ino, 0
                stream.seek(self._position)
                read = stream.read(CHUNK)
                self._position += len(read)
        except FileNotFoundError:
            return ""
        return self._decoder.decode(read)
