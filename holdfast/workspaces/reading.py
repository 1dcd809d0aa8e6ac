"""Reading of a folder: which files it has, and the chunks of those that have changed."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from holdfast._util.descriptors import TEMPORARY_PREFIX
from holdfast.agents.secret_files import secret_part
from holdfast.trees import FILE, FOLDER, LINK, Node, Tree
from holdfast.workspaces.folder import Folder
from holdfast.workspaces.limits import KeptLimits

MAX_DEPTH = 200  # folders below one another; deeper ones are left out
MAX_NAMED = 1_000  # of what is left out; of more, only the tree says that there is more
ATTEMPTS = 3  # to read a file that is being written
SETTLED = 100_000_000
"""Nanoseconds. A file that changed this little before it was read may change again without another time of change."""

State = tuple[int, int, int]
"""Time of the last change of a file in nanoseconds, its size and its number; a program cannot set the time."""
Known = dict[str, tuple[State, tuple[str, ...]]]
"""The chunks of files by path, as of a state."""
Split = Callable[[bytes], list[tuple[str, bytes]]]


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file that may have changed."""

    path: str
    size: int
    mode: int


@dataclass
class Listing:
    """What is in a folder."""

    tree: Tree = field(default_factory=Tree)
    """Everything but the files in `unknown`."""
    unknown: list[FoundFile] = field(default_factory=list)
    """Files whose content must be read."""
    known: Known = field(default_factory=dict)
    """The files whose content need not be read as long as their state is the same."""
    held: dict[str, bytes] = field(default_factory=dict)
    """Chunks that were just read, by name."""


class FolderReader:
    """Reads one folder.

    Args:
        path: of the folder; one that does not exist is empty.
        limits: what is left out.
    """

    def __init__(self, path: Path, limits: KeptLimits) -> None:
        self._path = path
        self._limits = limits

    def list(self, known: Known) -> Listing:
        """Lists the folder; takes some microseconds for each file.

        Args:
            known: the chunks of files that were read before.

        Raises:
            OSError: it cannot be read.
        """
        listing = Listing()
        try:
            with Folder.open(self._path) as folder:
                _Walk(folder, self._limits, known, listing).run("", 0)
        except FileNotFoundError:
            return Listing()
        return listing

    def read(self, files: Sequence[FoundFile], listing: Listing, split: Split) -> dict[str, bytes]:
        """Reads files, adds them to the tree of a listing, and returns their chunks by name.

        A file that is gone is skipped, one that cannot be read is left out.
        """
        found: dict[str, bytes] = {}
        with Folder.open(self._path) as folder:
            for file in files:
                try:
                    began = time.time_ns()
                    data, status, is_whole = self._content(folder, file.path)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    _leave_out(listing.tree, file.path, error.strerror or str(error))
                    continue
                chunks = split(data)
                found |= dict(chunks)
                names = tuple(name for name, _ in chunks)
                listing.tree.nodes[file.path] = Node(FILE, mode=file.mode, size=len(data), chunks=names)
                if is_whole and status.st_ctime_ns < began - SETTLED:
                    listing.known[file.path] = (_state(status), names)
        return found

    def _content(self, folder: Folder, path: str) -> tuple[bytes, os.stat_result, bool]:
        """Reads a file; one that changes each time is taken as it is read at last."""
        limit = self._limits.file_bytes
        for _ in range(ATTEMPTS):
            data, status, is_whole = folder.read(path, limit + 1)
            if len(data) > limit:
                raise OSError(f"it grew beyond {limit:,} bytes")
            if is_whole:
                break
        return data, status, is_whole


class _Walk:
    """Walks through a folder, in the order of names."""

    def __init__(self, folder: Folder, limits: KeptLimits, known: Known, listing: Listing) -> None:
        self._folder = folder
        self._limits = limits
        self._known = known
        self._listing = listing
        self._count = self._bytes = 0

    def run(self, path: str, depth: int) -> None:
        below: list[str] = []
        with self._folder.list(path) as entries:
            for entry in entries:
                place = f"{path}/{entry.name}" if path else entry.name
                try:
                    if self._add(place, entry):
                        below.append(place)
                except FileNotFoundError:  # it is gone meanwhile
                    continue
                except OSError as error:
                    _leave_out(self._listing.tree, place, error.strerror or str(error))
        for place in below:
            if depth >= MAX_DEPTH:
                _leave_out(self._listing.tree, place, f"more than {MAX_DEPTH} folders above it")
                continue
            try:
                self.run(place, depth + 1)
            except FileNotFoundError:
                self._listing.tree.nodes.pop(place, None)
            except OSError as error:
                _leave_out(self._listing.tree, place, error.strerror or str(error))

    def _add(self, path: str, entry: os.DirEntry[str]) -> bool:
        """Adds an entry, and returns whether it is a folder to walk through."""
        tree = self._listing.tree
        if entry.name.startswith(TEMPORARY_PREFIX) or self._limits.ignores(entry.name):
            return False
        if secret_part(Path(entry.name)):
            _leave_out(tree, path, "files of such names usually hold secrets")
            return False
        status = entry.stat(follow_symlinks=False)
        mode = stat.S_IMODE(status.st_mode) & 0o777
        if reason := self._excess(status):
            _leave_out(tree, path, reason)
            return False
        self._count += 1
        if stat.S_ISDIR(status.st_mode):
            tree.nodes[path] = Node(FOLDER, mode=mode)
            return True
        if stat.S_ISLNK(status.st_mode):
            tree.nodes[path] = Node(LINK, target=self._folder.link_target(path))
            return False
        self._bytes += status.st_size
        before = self._known.get(path)
        if before is not None and before[0] == _state(status):
            tree.nodes[path] = Node(FILE, mode=mode, size=status.st_size, chunks=before[1])
            self._listing.known[path] = before
        else:
            self._listing.unknown.append(FoundFile(path, status.st_size, mode))
        return False

    def _excess(self, status: os.stat_result) -> str | None:
        limits, kind = self._limits, status.st_mode
        if self._count >= limits.files:
            return f"the folder has more than {limits.files:,} files and folders"
        if stat.S_ISDIR(kind) or stat.S_ISLNK(kind):
            return None
        if not stat.S_ISREG(kind):
            return "it is neither a file nor a folder"
        if status.st_size > limits.file_bytes:
            return f"{status.st_size:,} bytes, more than {limits.file_bytes:,} of one file"
        if self._bytes + status.st_size > limits.bytes:
            return f"{status.st_size:,} bytes, with which all files would have more than {limits.bytes:,}"
        return None


def _leave_out(tree: Tree, path: str, reason: str) -> None:
    tree.nodes.pop(path, None)
    if len(tree.left_out) < MAX_NAMED:
        tree.left_out[path] = reason
    else:
        tree.is_partial = True


def _state(status: os.stat_result) -> State:
    return status.st_ctime_ns, status.st_size, status.st_ino
