"""Formats of definition files, and parsed documents."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from holdfast.errors import UsageError


class Format(enum.StrEnum):
    """A file format of definitions."""

    TOML = "toml"
    YAML = "yaml"
    JSON = "json"

    @classmethod
    def of(cls, file: str) -> Format:
        """Returns the format of a file, by its extension.

        Raises:
            UsageError: no format has this extension.
        """
        ending = PurePath(file).suffix.lower().removeprefix(".")
        try:
            return cls("yaml" if ending == "yml" else ending)
        except ValueError:
            raise UsageError(
                f"{file}: the extension must be .toml, .yaml, .yml or .json; otherwise pass --format"
            ) from None


MAX_DEPTH = 32
"""Levels of nesting in a file. A definition needs four; parsers take quadratic time for more, or the whole stack."""

Path = tuple[str | int, ...]
"""Path of a value in a document: keys and list indexes, from the outside in."""


@dataclass(frozen=True)
class Document:
    """A parsed file, with line numbers."""

    content: Any
    lines: dict[Path, int]
    """Line of each key, starting at 1, if known."""

    def line(self, path: Path) -> int | None:
        """Returns the line of the value at `path`, or of the nearest enclosing value; `None` if unknown."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path)


class NotReadable(Exception):
    """The text is invalid in its format, or uses a feature that is not accepted.

    Attributes:
        line: line number, starting at 1; `None` if unknown.
    """

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line
