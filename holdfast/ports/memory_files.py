"""The ports of memory folders: files that an agent keeps over all of its runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

MAX_FILE_BYTES = 256 * 1024
MAX_FILES = 1_000


@dataclass(frozen=True, slots=True)
class StoredFolder:
    """A memory folder in the store."""

    path: str
    agent: str
    """Whose folder it is."""
    files: int
    bytes: int


@runtime_checkable
class MemoryFileStore(Protocol):
    """Mirrors the files of memory folders; every method may raise StoreUnavailable."""

    async def claim(self, path: str, agent: str) -> str:
        """Makes a folder an agent's own, unless it is another one's, and returns whose it is."""
        ...

    async def versions(self, path: str) -> dict[str, str]:
        """Returns the version of each file of a folder, by name; each write makes another one."""
        ...

    async def fetch(self, path: str, names: Sequence[str]) -> dict[str, tuple[str, bytes]]:
        """Returns version and content of files, without those that do not exist.

        Raises:
            PayloadUnreadable: a file is damaged, or its key is not configured.
        """
        ...

    async def put(self, path: str, name: str, data: bytes, *, seen: str | None = None) -> str | None:
        """Writes a file, and returns its version; `None` if it has another version than `seen`, and was not written."""
        ...

    async def delete(self, path: str, name: str) -> None:
        """Deletes a file."""

    async def folders(self) -> list[StoredFolder]:
        """Returns all folders, in the order of their paths."""
        ...

    async def clear(self, path: str) -> None:
        """Deletes a folder with all files; another agent may have its path then."""


class MemoryFolder(Protocol):
    """The memory folder of one agent.

    Every method raises UsageError, in words that a model can act on: for a name that is not accepted, a file that does
    not exist, a limit, or a folder that belongs to another agent.
    """

    async def list(self) -> list[tuple[str, int]]:
        """Returns the files with their bytes, in the order of their names."""
        ...

    async def read(self, name: str) -> bytes:
        """Returns the content of a file."""
        ...

    async def write(self, name: str, data: bytes) -> None:
        """Writes a whole file; of writes at the same time, the last one wins."""

    async def edit(self, name: str, old: str, new: str) -> None:
        """Replaces a text that the file has once; an edit of another run at the same time is not lost."""

    async def delete(self, name: str) -> None:
        """Deletes a file."""


class MemoryFolders(Protocol):
    """The memory folders of this machine."""

    def of(self, agent: str, path: str) -> MemoryFolder:
        """Returns the folder of an agent."""
        ...
