"""A tool call of the scripted model, with its result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MAX_RESULT = 1_000  # characters of a result that an answer quotes
MAX_QUESTION = 300  # characters of a question that an answer repeats
FAILED = "error: "
"""Start of a result that reports an error."""


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A tool call and its result."""

    tool: str
    arguments: dict[str, Any]
    result: str

    @property
    def failed(self) -> bool:
        """Whether the tool reported an error."""
        return self.result.startswith(FAILED)

    @property
    def label(self) -> str:
        """A short description of the call."""
        shown = self.arguments.get("query") or self.arguments.get("path") or ""
        return f"{self.tool} {shown!r}" if shown else self.tool


def shortened(text: str) -> str:
    """Returns a text on one line, cut to `MAX_QUESTION`."""
    line = " ".join(text.split())
    return line if len(line) <= MAX_QUESTION else f"{line[:MAX_QUESTION]}…"


def quoted(use: ToolUse) -> str:
    """Returns a call and what it returned, for an answer."""
    arguments = ", ".join(f"{name}={value!r}" for name, value in use.arguments.items())
    call = f"`{use.tool}({shortened(arguments)})`"
    result = use.result if len(use.result) <= MAX_RESULT else f"{use.result[:MAX_RESULT]}…"
    verb = "failed" if use.failed else "returned"
    return f"{call} {verb}:\n\n{result.strip() or '(nothing)'}"
