"""Listing of the files in a workspace, with a bounded amount of work."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Self

from holdfast.agents.tool import ToolError
from holdfast.tools.workspace import Workspace, shown

MAX_ENTRIES = 20_000  # directory entries that one listing reads, which takes some tenths of a second

_SKIPPED_FOLDERS = frozenset({"node_modules", "__pycache__"})


@dataclass(frozen=True)
class Glob:
    """A pattern for paths, matched name by name; `**` matches any number of folders.

    A state is the set of segments that the next name may match.
    """

    segments: tuple[str, ...]

    @classmethod
    def parse(cls, pattern: str) -> Self:
        """Parses a pattern such as `**/*.md`.

        Raises:
            ToolError: it is empty, is absolute, or contains `..`.
        """
        path = PurePosixPath(pattern)
        if not path.parts or path.is_absolute() or ".." in path.parts:
            raise ToolError(f"the pattern {shown(pattern)!r} is not accepted: use one like '**/*.md', without '..'")
        return cls(path.parts)

    def start(self) -> frozenset[int]:
        """Returns the state before the first name."""
        return self._past_stars({0})

    def step(self, state: frozenset[int], name: str) -> frozenset[int]:
        """Returns the state after one more name; from an empty state, nothing can match."""
        stay = {place for place in state if self._is_stars(place)}
        go = {
            place + 1
            for place in state - stay
            if place < len(self.segments) and fnmatchcase(name, self.segments[place])
        }
        return self._past_stars(stay | go)

    def is_match(self, state: frozenset[int]) -> bool:
        """Whether the path of the names that led to this state matches the pattern."""
        return len(self.segments) in state

    def _is_stars(self, place: int) -> bool:
        return place < len(self.segments) and self.segments[place] == "**"

    def _past_stars(self, places: set[int]) -> frozenset[int]:
        reached = set(places)
        for place in places:
            while self._is_stars(place):
                place += 1  # noqa: PLW2901
                reached.add(place)
        return frozenset(reached)


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
