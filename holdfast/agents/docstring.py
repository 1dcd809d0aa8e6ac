"""What a Google-style docstring says of a function and of its arguments."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field
from typing import Self

_ARGUMENTS = ("Args:", "Arguments:", "Parameters:")
_SECTIONS = (*_ARGUMENTS, "Return:", "Returns:", "Raises:", "Yields:")
_ENTRY = re.compile(r"(?P<name>\w+)\s*(?:\(.*?\))?\s*:\s*(?P<text>.*)")
"""`name: text` or `name (type): text`."""


@dataclass(frozen=True)
class Docstring:
    """A docstring's parts, each as one piece of text."""

    description: str = ""
    """All that stands before the first section."""
    arguments: dict[str, str] = field(default_factory=dict)
    """The text of each argument, line breaks folded."""

    @classmethod
    def parse(cls, text: str | None) -> Self:
        """Reads a docstring as it stands in the source; None and an empty one say nothing."""
        if not text:
            return cls()
        lines = inspect.cleandoc(text).splitlines()
        starts = [number for number, line in enumerate(lines) if line.rstrip() in _SECTIONS]
        description = "\n".join(lines[: starts[0]] if starts else lines).strip()
        start = next((number for number in starts if lines[number].rstrip() in _ARGUMENTS), None)
        return cls(description, {} if start is None else _entries(_indented(lines[start + 1 :])))


def _indented(lines: list[str]) -> list[str]:
    """The lines of a section: up to the next one that is not indented; blank ones left out."""
    section = []
    for line in lines:
        if line and not line[0].isspace():
            break
        if line.strip():
            section.append(line)
    return section


def _entries(section: list[str]) -> dict[str, str]:
    margin = min((_indent(line) for line in section), default=0)
    entries: dict[str, str] = {}
    name = None
    for line in section:
        entry = _ENTRY.fullmatch(line.strip()) if _indent(line) == margin else None
        if entry:
            name = entry["name"]
            entries[name] = entry["text"]
        elif name:
            entries[name] = f"{entries[name]} {line.strip()}".strip()
    return entries


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
