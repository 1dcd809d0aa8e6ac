"""The limits of what is kept of a folder."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import translate

IGNORED = (
    ".git",
    "node_modules",
    "__pycache__",
    "*.pyc",
    ".venv",
    ".tox",
    ".cache",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    ".ipynb_checkpoints",
)
"""Patterns for the names of files and folders that can be made again, or that file tools leave alone."""


@dataclass(frozen=True)
class KeptLimits:
    """Limits of one folder; what exceeds them is left out, and named."""

    files: int = 20_000
    """Files, folders and links."""
    file_bytes: int = 64 * 1024 * 1024
    """Of one file."""
    bytes: int = 1024 * 1024 * 1024
    """Of all files."""
    ignored: tuple[str, ...] = IGNORED
    """Patterns for names that are left out, without regard to case."""
    _ignored: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compiles the patterns."""
        object.__setattr__(self, "_ignored", _any_of(self.ignored))

    def ignores(self, name: str) -> bool:
        """Whether a file or folder of this name is left out."""
        return bool(self._ignored.match(name.casefold()))


def _any_of(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(translate(pattern.casefold()) for pattern in patterns) or r"(?!)")
