"""Streaming text, wrapped at words while it arrives."""

from __future__ import annotations

import re
from collections.abc import Callable

from rich.cells import cell_len

_PIECES = re.compile(r"\n|[^\S\n]+|\S+")


class LiveText:
    """Writes text piece by piece; a complete word is written at once, on the next line if it does not fit.

    Words that are longer than a line are not broken, as a URL must stay whole.
    """

    def __init__(self, write: Callable[[str], None], *, width: int, indent: int = 0) -> None:
        """
        Args:
            write: writes text without adding anything.
            width: cells of a line, including the indentation.
            indent: blanks before each line.
        """
        self._write = write
        self._width = width
        self._indent = indent
        self._column = 0
        self._blanks = ""
        self._word = ""

    @property
    def is_within_line(self) -> bool:
        """Whether a line has begun and not ended."""
        return self._column > 0

    def feed(self, text: str) -> None:
        """Adds the next piece."""
        for piece in _PIECES.findall(text):
            if not piece.isspace():
                self._word += piece
            elif piece == "\n":
                self._end_word()
                self._end_line()
            else:
                self._end_word()
                self._blanks += piece.expandtabs(4)

    def end(self) -> None:
        """Writes the rest, and ends the line if one has begun."""
        self._end_word()
        if self._column:
            self._end_line()

    def _end_word(self) -> None:
        if not self._word:
            return
        needed = cell_len(self._blanks) + cell_len(self._word)
        if self._column and self._column + needed > self._width:
            self._end_line()
        lead = self._blanks if self._column else " " * self._indent + self._blanks
        self._write(lead + self._word)
        self._column += cell_len(lead) + cell_len(self._word)
        self._word = self._blanks = ""

    def _end_line(self) -> None:
        self._write("\n")
        self._column = 0
        self._blanks = ""
