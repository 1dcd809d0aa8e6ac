"""The files that a run has written, as far as it carries their names."""

from __future__ import annotations

from collections.abc import Iterable

MAX_CHARS = 32_768
"""Of all names, which each execution carries; later ones are only in the log."""


class WrittenFiles:
    """Names of files, relative to the workspace, in order and without repeats."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._chars = 0

    def add(self, files: Iterable[str]) -> None:
        """Adds those that are new, as far as there is room."""
        for file in files:
            if file not in self.names and self._chars + len(file) <= MAX_CHARS:
                self.names.append(file)
                self._chars += len(file)
