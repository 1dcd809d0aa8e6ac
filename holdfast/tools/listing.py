"""Listing of the files in a workspace, with a bounded amount of work."""

from __future__ import annotations

import re
import unicodedata
from collections import deque
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Self

from holdfast.agents.tool import ToolError
from holdfast.tools.workspace import Workspace, shown

MAX_ENTRIES = 20_000  # directory entries that one listing reads, which takes some tenths of a second

MAX_ALTERNATIVES = 64  # of a pattern with braces

_BRACES = re.compile(r"\{([^{}]*)\}")  # the innermost ones
_MASK = str.maketrans("{}", "\ue000\ue001")  # braces that stand for themselves, while others are expanded
_UNMASK = str.maketrans("\ue000\ue001", "{}")
_SKIPPED_FOLDERS = frozenset({"node_modules", "__pycache__"})


Places = frozenset[tuple[int, int]]
"""The alternatives of a pattern, each with the segment that the next name may match."""


@dataclass(frozen=True)
class Glob:
    """A pattern for paths, matched name by name; `**` matches any number of folders, `{a,b}` one of several texts.

    A state is the set of places that the next name may match.
    """

    alternatives: tuple[tuple[str, ...], ...]

    @classmethod
    def parse(cls, pattern: str) -> Self:
        """Parses a pattern such as `**/*.md` or `src/**/*.{ts,tsx}`.

        Raises:
            ToolError: it is empty, is absolute, contains `..`, or has too many alternatives.
        """
        alternatives = []
        for each in _expanded(_composed(pattern)):
            path = PurePosixPath(each)
            if not path.parts or path.is_absolute() or ".." in path.parts:
                raise ToolError(f"the pattern {shown(pattern)!r} is not accepted: use one like '**/*.md', without '..'")
            alternatives.append(path.parts)
        return cls(tuple(alternatives))

    def start(self) -> Places:
        """Returns the state before the first name."""
        return self._past_stars({(number, 0) for number in range(len(self.alternatives))})

    def step(self, state: Places, name: str) -> Places:
        """Returns the state after one more name; from an empty state, nothing can match."""
        name = _composed(name)
        stay = {place for place in state if self._segment(place) == "**"}
        go = {
            (number, place + 1)
            for number, place in state - stay
            if (segment := self._segment((number, place))) is not None and fnmatchcase(name, segment)
        }
        return self._past_stars(stay | go)

    def is_match(self, state: Places) -> bool:
        """Whether the path of the names that led to this state matches the pattern."""
        return any(self._segment(place) is None for place in state)

    def _segment(self, place: tuple[int, int]) -> str | None:
        number, index = place
        segments = self.alternatives[number]
        return segments[index] if index < len(segments) else None

    def _past_stars(self, places: set[tuple[int, int]]) -> Places:
        reached = set(places)
        for number, place in places:
            while self._segment((number, place)) == "**":
                place += 1  # noqa: PLW2901
                reached.add((number, place))
        return frozenset(reached)


def _expanded(pattern: str) -> list[str]:
    """Returns the patterns without braces that a pattern stands for; braces without a comma stand for themselves."""
    done, waiting = [], [pattern]
    while waiting:
        each = waiting.pop()
        first = _BRACES.search(each)
        if first is None:
            done.append(each.translate(_UNMASK))
        elif "," in first[1]:
            waiting += [f"{each[: first.start()]}{part}{each[first.end() :]}" for part in first[1].split(",")]
        else:
            waiting.append(f"{each[: first.start()]}{first[0].translate(_MASK)}{each[first.end() :]}")
        if len(done) + len(waiting) > MAX_ALTERNATIVES:
            raise ToolError(
                f"the pattern {shown(pattern)!r} stands for more than {MAX_ALTERNATIVES} patterns; use several lists"
            )
    return done


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


@dataclass
class Listing:
    """The files that a listing found."""

    files: list[tuple[PurePosixPath, int]] = field(default_factory=list)
    """Paths relative to the workspace, sorted, each with its size in bytes."""
    notes: list[str] = field(default_factory=list)
    """What was skipped, and why."""

    @classmethod
    def of(cls, workspace: Workspace, start: PurePosixPath, glob: Glob) -> Self:
        """Lists a folder, level by level.

        Links to folders are not followed; hidden folders, node_modules and __pycache__ are skipped.

        Args:
            workspace: the workspace.
            start: a folder, or a single file to list.
            glob: selects among the files below `start`.

        Raises:
            ToolError: `start` cannot be read.
        """
        listing = cls()
        found = workspace.look_up(start)
        if found.is_folder:
            listing._walk(workspace, start, glob)
            listing.files.sort(key=lambda file: str(file[0]))
        elif found.size is not None:
            listing.files.append((start, found.size))
        else:
            raise ToolError(f"{shown(start)!r} is neither a file nor a folder")
        return listing

    def _walk(self, workspace: Workspace, start: PurePosixPath, glob: Glob) -> None:
        queue = deque([(start, glob.start())])
        left = MAX_ENTRIES
        while queue:
            folder, state = queue.popleft()
            try:
                items = workspace.entries(folder, left + 1)
            except ToolError as error:
                if folder == start:
                    raise
                self.notes.append(f"skipped: {error}")
                continue
            for item in sorted(items[:left]):
                path, after = folder / item.name, glob.step(state, item.name)
                if item.is_folder and after and not _is_skipped(item.name):
                    queue.append((path, after))
                elif item.size is not None and glob.is_match(after):
                    self.files.append((path, item.size))
            if len(items) > left:
                self.notes.append(f"stopped after {MAX_ENTRIES} directory entries; narrow the path")
                return
            left -= len(items)


def _is_skipped(folder: str) -> bool:
    return folder.startswith(".") or folder in _SKIPPED_FOLDERS
