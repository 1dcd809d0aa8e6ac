"""Where a command's words go: data to stdout, everything else to stderr; colour on terminals alone."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from holdfast.cli.render.text import clean, wrapped
from holdfast.types import RunStatus

MAX_WIDTH = 100  # cells; longer lines of prose are hard to read on any terminal
MIN_WIDTH = 40  # cells; below it the terminal may wrap as it likes

STATUS_STYLES: Mapping[RunStatus, str] = {
    RunStatus.QUEUED: "dim",
    RunStatus.RUNNING: "cyan",
    RunStatus.WAITING: "yellow",
    RunStatus.PAUSED: "yellow",
    RunStatus.COMPLETED: "green",
    RunStatus.FAILED: "red",
    RunStatus.CANCELLED: "magenta",
    RunStatus.TERMINATED: "red",
    RunStatus.TIMED_OUT: "red",
}
_LEFT_BY_JSON = re.compile(r"[\x7f-\x9f]")  # control characters that JSON need not escape
_SIGNS = {RunStatus.COMPLETED: "✓", RunStatus.CANCELLED: "■"}


class Output:
    """What a command says.

    Attributes:
        json: the command ends with one JSON document on stdout; what is for people goes to stderr.
    """

    def __init__(self, *, json: bool = False) -> None:
        """
        Args:
            json: whether stdout is kept for one JSON document.
        """
        self.json = json
        self._stderr = _console(stderr=True)
        self._people = self._stderr if json else _console(stderr=False)

    @property
    def width(self) -> int:
        """Cells that a line for people may take."""
        return max(MIN_WIDTH, min(self._people.width, MAX_WIDTH))

    @property
    def full_width(self) -> int:
        """Cells of the terminal: what a table may take."""
        return max(MIN_WIDTH, self._people.width)

    def say(self, *parts: str | tuple[str, str], end: str = "\n") -> None:
        """Writes for people; a part is text, or text with a style. Lines are left as they are, never wrapped."""
        self._people.print(_text(parts), end=end, soft_wrap=True)

    def lines(self, lines: Sequence[str]) -> None:
        """Writes lines for people."""
        for line in lines:
            self.say(line)

    def note(self, text: str) -> None:
        """Says on stderr what goes on beside the data."""
        self._stderr.print(_text([(clean(text), "dim")]), soft_wrap=True)

    def warn(self, text: str) -> None:
        """Says on stderr what a person should know now."""
        self._stderr.print(_text([("! ", "bold yellow"), (self._fitted(text), "yellow")]), soft_wrap=True)

    def error(self, text: str) -> None:
        """Says on stderr why the command ends."""
        self._stderr.print(_text([("error: ", "bold red"), self._fitted(text)]), soft_wrap=True)

    def _fitted(self, text: str) -> str:
        """Wrapped for a terminal; in a file a message stays one line, to be searched for."""
        return wrapped(text, self.width - len("error: ")) if self._stderr.is_terminal else clean(text)

    def document(self, value: Any) -> None:
        """Writes the one JSON document; values must be plain. Nothing in it can steer a terminal."""
        _write_json(json.dumps(value, indent=2, ensure_ascii=False))

    def line(self, value: Any) -> None:
        """Writes one of many JSON documents, on a line of its own; as `document` does."""
        _write_json(json.dumps(value, ensure_ascii=False))


def _write_json(text: str) -> None:
    sys.stdout.write(_LEFT_BY_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n")
    sys.stdout.flush()


def status_mark(status: RunStatus) -> tuple[str, str]:
    """A status with its sign and its style."""
    sign = _SIGNS.get(status, "✗" if status.is_final else "●")
    return f"{sign} {status.value.replace('_', ' ')}", STATUS_STYLES[status]


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leaves it to the command what a reader that has gone means."""
        raise BrokenPipeError


def _console(*, stderr: bool) -> Console:
    return _Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def _text(parts: Sequence[str | tuple[str, str]]) -> Text:
    return Text.assemble(*parts)
