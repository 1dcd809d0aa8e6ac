"""Pages of text files, read with a bounded amount of work."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Self

MAX_READ_BYTES = 64 * 1024 * 1024  # bytes of a file that one call reads, which take about a second
MAX_LINE_BYTES = 8 * 1024  # of a line; people do not write longer ones
MAX_PAGE_CHARS = 100 * 1024  # in one page; below the maximum size of a tool's result
CUT_MARK = " … (line cut)".encode()


@dataclass
class Page:
    """Numbered lines of a file."""

    lines: list[str] = field(default_factory=list)
    total: int = 0
    """Lines of the file, as far as it was read."""
    is_whole: bool = True
    """Whether the file was read to its end."""

    @classmethod
    def of(cls, file: BinaryIO, start_line: int, max_lines: int, max_bytes: int = MAX_READ_BYTES) -> Self:
        """Reads a page; counts the other lines of the file as well, unless it is longer than `max_bytes`."""
        page = cls()
        room = MAX_PAGE_CHARS
        for page.total, raw in enumerate(_lines(file, max_bytes), start=1):
            if page.total == start_line + len(page.lines) and len(page.lines) < max_lines and room > 0:
                page.lines.append(f"{page.total}\t{text_of(raw)}")
                room -= len(page.lines[-1])
        page.is_whole = not file.read(1)
        return page

    @property
    def count(self) -> str:
        """The number of lines, for people."""
        return str(self.total) if self.is_whole else f"more than {self.total}"


def text_of(raw: bytes) -> str:
    """Returns a line as text, without its end."""
    return raw.rstrip(b"\r\n").decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")


def _lines(file: BinaryIO, max_bytes: int) -> Iterator[bytes]:
    """Yields the lines of the first bytes, each cut off after MAX_LINE_BYTES, so that memory stays small."""
    left = max_bytes
    while left > 0 and (line := file.readline(MAX_LINE_BYTES)):
        rest = line
        left -= len(rest)
        while not rest.endswith(b"\n") and left > 0 and (rest := file.readline(MAX_LINE_BYTES)):
            left -= len(rest)
            line = line[:MAX_LINE_BYTES] + CUT_MARK
        yield line
