"""The files of a workspace that a command has changed, and those that it must not see."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Self

from holdfast._util.descriptors import TEMPORARY_PREFIX
from holdfast.agents.tool import ToolError
from holdfast.tools.workspace import Workspace

MAX_ENTRIES = 200_000  # files and folders of a workspace, which take some seconds
MAX_HIDDEN = 1_000  # each is a mount of its own in the sandbox
MAX_WRITTEN = 1_000  # files in one result

State = tuple[int, int, int]
"""Time of the last change of a file, its size and its number; a program cannot set the time."""


@dataclass
class Snapshot:
    """The files of a workspace at one moment, links among them, except the hidden ones."""

    files: dict[str, State] = field(default_factory=dict)
    hidden: list[Path] = field(default_factory=list)
    """Files and folders that usually hold secrets, and the worker's state folder, relative to the workspace."""

    @classmethod
    def of(cls, workspace: Workspace) -> Self:
        """Reads a workspace, which it creates if it does not exist.

        Raises:
            ToolError: it is too large to find everything that must be hidden.
        """
        snapshot, entries = cls(), 0
        waiting = [PurePosixPath()]
        root = workspace.folder()
        while waiting:
            folder = waiting.pop()
            entries += snapshot._read(workspace, root, folder, waiting)
            if entries > MAX_ENTRIES or len(snapshot.hidden) > MAX_HIDDEN:
                raise ToolError(
                    f"commands run only in workspaces of at most {MAX_ENTRIES:,} files and folders, of which at most "
                    f"{MAX_HIDDEN:,} have names that usually hold secrets; this one has more"
                )
        return snapshot

    def written_since(self, before: Snapshot) -> list[str]:
        """Returns the files that are new or were changed since then, at most MAX_WRITTEN."""
        changed = (name for name, state in self.files.items() if before.files.get(name) != state)
        return sorted(changed)[:MAX_WRITTEN]

    def lost_in(self, after: Snapshot) -> list[str]:
        """Returns the files that do not exist any more."""
        return sorted(self.files.keys() - after.files.keys())

    def _read(self, workspace: Workspace, root: Path, folder: PurePosixPath, waiting: list[PurePosixPath]) -> int:
        try:
            entries = list(os.scandir(root / folder))
        except OSError:  # it is gone meanwhile, or is a secret of another user
            return 0
        for entry in entries:
            path, is_folder = folder / entry.name, entry.is_dir(follow_symlinks=False)
            if not entry.is_symlink() and workspace.is_protected(path):
                self.hidden.append(Path(path))
            elif is_folder:
                waiting.append(path)
            elif not entry.name.startswith(TEMPORARY_PREFIX):
                self._add(str(path), entry)
        return len(entries)

    def _add(self, path: str, entry: os.DirEntry[str]) -> None:
        try:
            found = entry.stat(follow_symlinks=False)
        except OSError:  # it is gone meanwhile
            return
        self.files[path] = (found.st_ctime_ns, found.st_size, found.st_ino)
