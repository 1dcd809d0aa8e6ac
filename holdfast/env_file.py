"""Lines of `.env` that have no effect: those that cannot be read, and misspelled settings."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from holdfast.similar import most_similar

SIMILAR = 0.88  # of 1; `.env` may have variables of other programs, so only a likely slip is named
PARSER = "dotenv.main"
"""The logger to which the parser of the file reports, once for each time that the file is read."""

_log = logging.getLogger(__name__)
_said: set[str] = set()


class _Unreadable(logging.Filter):
    """Collects the numbers of unreadable lines, in place of the parser's own messages."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: set[int] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        if not isinstance(record.args, tuple) or not record.args or not isinstance(record.args[0], int):
            return True
        self.lines.add(record.args[0])
        return False


@contextmanager
def unreadable_lines_named(path: Path) -> Iterator[None]:
    """Names each line that cannot be read during the block, once in a process."""
    unreadable = _Unreadable()
    parser = logging.getLogger(PARSER)
    parser.addFilter(unreadable)
    try:
        yield
    finally:
        parser.removeFilter(unreadable)
        for line in sorted(unreadable.lines):
            _say(f"{path.absolute()}, line {line} is ignored: it is not NAME=VALUE")


def name_misspelled(path: Path, written: Iterable[str], known: Iterable[str]) -> None:
    """Names each variable of the file that is not a setting but is spelled almost like one, once in a process.

    Args:
        path: the file.
        written: names in it.
        known: names of all settings, in capitals.
    """
    known = set(known)
    for name in sorted({name.upper() for name in written} - known):
        if similar := most_similar(name, known, SIMILAR):
            _say(f"{path.absolute()}: {name} is not a setting and is ignored; did you mean {similar}?")


def _say(text: str) -> None:
    if text not in _said:
        _said.add(text)
        _log.warning(text)
