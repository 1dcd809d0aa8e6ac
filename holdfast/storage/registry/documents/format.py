"""The languages that a definition can be written in."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from holdfast.errors import UsageError


class Format(enum.StrEnum):
    """A language of definitions."""

    TOML = "toml"
    YAML = "yaml"
    JSON = "json"

    @classmethod
    def of(cls, file: str) -> Format:
        """The language of a file, by its ending.

        Raises:
            UsageError: no language has this ending.
        """
        ending = PurePath(file).suffix.lower().removeprefix(".")
        try:
            return cls("yaml" if ending == "yml" else ending)
        except ValueError:
            raise UsageError(
                f"{file}: files that end in .toml, .yaml, .yml or .json are read; or say --format"
            ) from None


Path = tuple[str | int, ...]
"""Where in a document something is: keys and places in lists, from the outside in."""


@dataclass(frozen=True)
class Document:
    """What a text says, and on which lines."""

    content: Any
    lines: dict[Path, int]
    """Line of each key, from 1, as far as it is known."""

    def line(self, path: Path) -> int | None:
        """The line of what is at `path`, or of what it is in."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path)


class NotReadable(Exception):
    """The text is not of its language, or uses a part of it that is not accepted.

    Attributes:
        line: where, from 1; None: not known.
    """

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line
