"""The records beside a kept folder: the snapshot that it equals, and the chunks of its files."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Self

from pydantic import ValidationError

from holdfast._util.private_files import open_lock_file, write_private
from holdfast.data import Data
from holdfast.workspace_states import EMPTY, WorkspacePoint, WorkspaceSnapshot
from holdfast.workspaces.reading import Known

POLL = 0.02  # seconds between two attempts to take a lock


class Marker(Data):
    """The snapshot that a folder on this machine was last like."""

    line: str
    """As in `WorkspaceSnapshot`."""
    number: int = 0
    after: list[str] = []
    base: str = EMPTY
    """The tree with which the line began."""
    tree: str = EMPTY
    """The tree of the snapshot."""
    digest: str = ""
    """sha256, hex, of the encoded tree."""
    initial: str | None = None
    """The tree of the folder before the first call; `None` means that it was restored from elsewhere."""
    went_back: list[str] = []
    """The points that it was restored to since runs went back."""

    @classmethod
    def begin(cls, tree: str, digest: str, *, after: WorkspacePoint | None = None) -> Self:
        """Returns the marker of a new line, which begins with a tree."""
        refs = [head.ref for head in after.heads] if after else []
        return cls(line=token_hex(4), after=refs, base=tree, tree=tree, digest=digest)

    @property
    def snapshot(self) -> WorkspaceSnapshot:
        """What was recorded last, without its figures."""
        return WorkspaceSnapshot(tree=self.tree, base=self.base, line=self.line, number=self.number, after=self.after)

    def has(self, head: WorkspaceSnapshot) -> bool:
        """Whether the folder has the changes of a snapshot."""
        return self.snapshot.includes(head)


class FolderRecords:
    """The files beside one kept folder, and its locks.

    Args:
        folder: for the files of all kept folders.
        name: of the kept folder.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._marker, self._index = folder / f"{name}.json", folder / f"{name}.index"
        self._lock, self._calls = folder / f"{name}.lock", folder / f"{name}.calls"

    @property
    def exists(self) -> bool:
        """Whether there is a marker."""
        return self._marker.exists()

    def read(self) -> Marker | None:
        """Returns the marker; `None` if there is none, or it cannot be read."""
        try:
            return Marker.model_validate_json(self._marker.read_text())
        except (OSError, ValueError, ValidationError):
            return None

    def write(self, marker: Marker) -> None:
        """Writes the marker.

        Raises:
            OSError: it cannot be written.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(self._marker, marker.model_dump_json(), durable=False)

    def known(self, identity: str) -> Known:
        """Returns the chunks of files, if they are named by the same key; nothing if they are not known."""
        try:
            found = json.loads(zlib.decompress(self._index.read_bytes()))
            if found["identity"] != identity:
                return {}
            return {path: (tuple(state), tuple(chunks)) for path, (state, chunks) in found["files"].items()}
        except (OSError, ValueError, LookupError, TypeError, zlib.error):
            return {}

    def remember(self, known: Known, identity: str) -> None:
        """Keeps the chunks of files, so that they are not read again; if that fails, they are."""
        text = json.dumps({"identity": identity, "files": known})
        draft = self._index.with_suffix(f".{os.getpid()}.tmp")
        with suppress(OSError):
            draft.write_bytes(zlib.compress(text.encode("ascii"), 1))
            draft.replace(self._index)
            return
        with suppress(OSError):
            draft.unlink()

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        """Excludes other snapshots and restorations of the folder, also by other processes."""
        descriptor = self._open(self._lock)
        try:
            while not _try(descriptor, fcntl.LOCK_EX):  # noqa: ASYNC110 - another process may hold it
                await asyncio.sleep(POLL)
            yield
        finally:
            os.close(descriptor)

    def begin_call(self) -> int:
        """Says that a call uses the folder, until the descriptor that it returns is closed."""
        descriptor = self._open(self._calls)
        fcntl.flock(descriptor, fcntl.LOCK_SH)  # nobody holds it exclusively for longer than a moment
        return descriptor

    @property
    def is_in_use(self) -> bool:
        """Whether a call uses the folder."""
        descriptor = self._open(self._calls)
        try:
            return not _try(descriptor, fcntl.LOCK_EX)
        finally:
            os.close(descriptor)

    def _open(self, path: Path) -> int:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return open_lock_file(path)


def _try(descriptor: int, operation: int) -> bool:
    try:
        fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
