"""Access to the files below a folder, without following any link."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Self

from holdfast._util import descriptors
from holdfast.trees import FILE, FOLDER, Node

_PLAIN = 0o777  # without setuid and setgid


class Folder:
    """An open folder. Every method may raise OSError; one that meets a link where a folder is expected does.

    Args:
        descriptor: of the folder; closed at the end.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    @contextmanager
    def open(cls, path: Path, *, create: bool = False) -> Iterator[Self]:
        """Opens a folder, and closes it at the end of the block."""
        if create:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, descriptors.FOLDER)
        try:
            yield cls(descriptor)
        finally:
            os.close(descriptor)

    @contextmanager
    def list(self, path: str) -> Iterator[list[os.DirEntry[str]]]:
        """Lists the entries of a folder by name; they can be used within the block."""
        with self._at(PurePosixPath(path)) as folder, os.scandir(folder) as entries:
            yield sorted(entries, key=lambda entry: entry.name)

    def read(self, path: str, limit: int) -> tuple[bytes, os.stat_result, bool]:
        """Reads a file, at most `limit` bytes; returns its status too, and whether it stayed the same meanwhile.

        Raises:
            OSError: it is not a file.
        """
        place = PurePosixPath(path)
        with self._at(place.parent) as folder:
            descriptor = os.open(place.name, descriptors.READ, dir_fd=folder)
            with os.fdopen(descriptor, "rb") as file:
                before = os.fstat(descriptor)
                if not stat.S_ISREG(before.st_mode):
                    raise OSError(f"{path!r} is not a file")
                data = file.read(limit)
                after = os.fstat(descriptor)
        return data, after, (after.st_mtime_ns, after.st_size) == (before.st_mtime_ns, len(data))

    def link_target(self, path: str) -> str:
        """Returns what a link contains."""
        place = PurePosixPath(path)
        with self._at(place.parent) as folder:
            return os.readlink(place.name, dir_fd=folder)

    def remove(self, path: str, node: Node) -> None:
        """Removes a file, a link or an empty folder; a folder with other things in it stays."""
        place = PurePosixPath(path)
        with suppress(FileNotFoundError), self._at(place.parent) as folder:
            if node.kind == FOLDER:
                with suppress(OSError):
                    os.rmdir(place.name, dir_fd=folder)
            else:
                os.unlink(place.name, dir_fd=folder)

    def make(self, path: str, node: Node, content: bytes = b"") -> None:
        """Makes a file, folder or link; a file or link that is there is replaced at once."""
        place = PurePosixPath(path)
        with self._at(place.parent) as folder:
            if node.kind == FOLDER:
                with suppress(FileExistsError):
                    os.mkdir(place.name, dir_fd=folder)
                self._set_mode(place.name, folder, node.mode)
                return
            with descriptors.replacing(place.name, folder) as temporary:
                if node.kind == FILE:
                    with os.fdopen(os.open(temporary, descriptors.CREATE, 0o600, dir_fd=folder), "wb") as file:
                        file.write(content)
                        file.flush()
                        os.fchmod(file.fileno(), node.mode & _PLAIN)
                else:
                    os.symlink(node.target, temporary, dir_fd=folder)

    def set_mode(self, path: str, mode: int) -> None:
        """Sets the permissions of a file or folder."""
        place = PurePosixPath(path)
        with self._at(place.parent) as folder:
            self._set_mode(place.name, folder, mode)

    def _set_mode(self, name: str, folder: int, mode: int) -> None:
        descriptor = os.open(name, descriptors.READ, dir_fd=folder)
        try:
            os.fchmod(descriptor, mode & _PLAIN)
        finally:
            os.close(descriptor)

    def _at(self, place: PurePosixPath) -> AbstractContextManager[int]:
        """Opens a folder below this one."""
        return descriptors.open_below(os.dup(self._descriptor), place)
