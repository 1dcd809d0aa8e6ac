"""Output of commands, of which the middle is dropped if it is long."""

from __future__ import annotations

HEAD = 10_000  # bytes at the beginning, which say what a program is about to do
TAIL = 20_000  # bytes at the end, where errors are


class BoundedOutput:
    """What a command wrote to one stream, as far as it is kept."""

    def __init__(self) -> None:
        self.total = 0
        """Bytes that were written."""
        self._head = bytearray()
        self._tail = bytearray()

    def add(self, data: bytes) -> None:
        """Adds what was written next."""
        self.total += len(data)
        room = HEAD - len(self._head)
        self._head += data[:room]  # nothing, once it is full
        self._tail += data[room:]
        if len(self._tail) > 2 * TAIL:
            del self._tail[:-TAIL]

    def text(self) -> str:
        """Returns the output, with a remark where something was left out."""
        head, tail = bytes(self._head), bytes(self._tail[-TAIL:])
        left_out = self.total - len(head) - len(tail)
        if not left_out:
            return (head + tail).decode(errors="replace")
        remark = f"\n… ({left_out:,} bytes were left out here: write long output to a file, and read parts of it)\n"
        return f"{head.decode(errors='ignore')}{remark}{tail.decode(errors='ignore')}"
