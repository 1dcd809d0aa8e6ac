"""Output of a command: data to stdout, everything else to stderr; colours only on terminals."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.control import Control
from rich.segment import ControlType
from rich.text import Text

from holdfast._util.terminal import clean, escaped_json
from holdfast.cli.render.text import cut, wrapped

MAX_WIDTH = 100  # cells; longer lines of prose are hard to read on any terminal
MIN_WIDTH = 40  # cells; on a narrower terminal, lines may wrap

_ERASED_LINE = Control((ControlType.CARRIAGE_RETURN,), (ControlType.ERASE_IN_LINE, 2))


class Output:
    """What a command writes.

    Attributes:
        json: whether the command writes one JSON document to stdout; text output then goes to stderr.
    """

    def __init__(self, *, json: bool = False) -> None:
        """
        Args:
            json: whether stdout is reserved for one JSON document.
        """
        self.json = json
        self._stderr = _console(stderr=True)
        self._people = self._stderr if json else _console(stderr=False)
        self._has_status = False

    @property
    def width(self) -> int:
        """Cells that a line of text for people may take."""
        return max(MIN_WIDTH, min(self._people.width, MAX_WIDTH))

    @property
    def full_width(self) -> int:
        """Cells of the terminal, all of which a table of data may take."""
        return max(MIN_WIDTH, self._people.width)

    def say(self, *parts: str | tuple[str, str], end: str = "\n") -> None:
        """Writes text for people; a part is text, or text with a style. Lines are never wrapped."""
        self._remove_status()
        self._people.print(_text(parts), end=end, soft_wrap=True)

    def status(self, text: str | None) -> None:
        """Shows a line on a terminal until something else is written; `None` removes it. Elsewhere, nothing is shown.

        Call it at the beginning of a line only.
        """
        if text is None:
            self._remove_status()
        elif self._people.file.isatty() and not self._people.is_dumb_terminal:
            self._people.control(_ERASED_LINE)
            self._people.print(_text([(cut(text, self.width - 1), "dim")]), end="", soft_wrap=True)
            self._people.file.flush()
            self._has_status = True

    def _remove_status(self) -> None:
        if self._has_status:
            self._has_status = False
            self._people.control(_ERASED_LINE)

    def lines(self, lines: Sequence[str]) -> None:
        """Writes lines for people."""
        for line in lines:
            self.say(line)

    def table(self, table: RenderableType, width: int) -> None:
        """Writes a table for people, without trailing blanks.

        Args:
            table: from `rich`.
            width: cells that it may take, even if the terminal has fewer.
        """
        self._remove_status()
        options = self._people.options.update(width=width)
        for segments in self._people.render_lines(table, options, pad=False):
            line = Text.assemble(*((clean(segment.text), segment.style or "") for segment in segments))
            line.rstrip()
            self._people.print(line, soft_wrap=True)

    def note(self, text: str) -> None:
        """Writes a remark to stderr."""
        self._remove_status()
        self._stderr.print(_text([(text, "dim")]), soft_wrap=True)

    def warn(self, text: str) -> None:
        """Writes a warning to stderr."""
        self._remove_status()
        self._stderr.print(_text([("! ", "bold yellow"), (self._fitted(text), "yellow")]), soft_wrap=True)

    def error(self, text: str) -> None:
        """Writes to stderr why the command failed."""
        self._remove_status()
        self._stderr.print(_text([("error: ", "bold red"), self._fitted(text)]), soft_wrap=True)

    def _fitted(self, text: str) -> str:
        """Wrapped on a terminal; in a file a message stays on one line, so that it can be searched for."""
        return wrapped(text, self.width - len("error: ")) if self._stderr.is_terminal else clean(text)

    def document(self, value: Any) -> None:
        """Writes the one JSON document of plain values. Control characters in it are escaped."""
        self._remove_status()
        _write_json(json.dumps(value, indent=2, ensure_ascii=False))

    def line(self, value: Any) -> None:
        """Writes one of many JSON documents on a line of its own, escaped as by `document`."""
        _write_json(json.dumps(value, ensure_ascii=False))


def _write_json(text: str) -> None:
    sys.stdout.write(escaped_json(text) + "\n")
    sys.stdout.flush()


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leaves a closed pipe to the command, which decides what it means."""
        raise BrokenPipeError


def _console(*, stderr: bool) -> Console:
    return _Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def _text(parts: Sequence[str | tuple[str, str]]) -> Text:
    """Assembles parts, each of which may contain what others wrote."""
    return Text.assemble(*(clean(part) if isinstance(part, str) else (clean(part[0]), part[1]) for part in parts))
