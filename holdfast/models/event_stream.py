"""Decoder of server-sent events. No I/O."""

from __future__ import annotations

import re

_LINE_END = re.compile(rb"\r\n|\n|\r(?!$)")  # a CR at the end may be the first half of CR LF
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class EventDecoder:
    """Returns the data of the events in a stream of bytes; other fields, as `id`, `retry` and comments, are ignored."""

    def __init__(self) -> None:
        self._line: list[bytes] = []  # pieces of a line that has not ended
        self._data: list[bytes] = []
        self._is_first_line = True

    def feed(self, piece: bytes) -> list[bytes]:
        """Adds bytes, and returns the data of the events that they complete."""
        if self._line and self._line[-1].endswith(b"\r"):
            piece = self._line.pop() + piece
        *whole, rest = _LINE_END.split(piece)
        events = []
        for line in whole:
            if data := self._add_line(b"".join([*self._line, line])):
                events.append(data)
            self._line.clear()
        if rest:
            self._line.append(rest)
        return events

    def end(self) -> list[bytes]:
        """Returns the data of the last event, if the stream ended without an empty line after it."""
        last = b"".join(self._line).rstrip(b"\r")
        self._line.clear()
        return list(filter(None, (self._add_line(last), self._add_line(b""))))

    def _add_line(self, line: bytes) -> bytes:
        """Adds a line, and returns the data of the event that it ends."""
        if self._is_first_line:
            line, self._is_first_line = line.removeprefix(_BYTE_ORDER_MARK), False
        if line:
            if line.startswith(b"data:"):
                self._data.append(line.removeprefix(b"data:").removeprefix(b" "))
            return b""
        data = b"\n".join(self._data)
        self._data.clear()
        return data
