"""Access to the files below a folder, without following any link."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Self

from holdfast.trees import FILE, FOLDER, Node

TEMPORARY_PREFIX = ".holdfast-"  # begins the names of files that are being written, as those of the file tools do
_STEP = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # O_NONBLOCK: opening a pipe must not wait
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
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
        descriptor = os.open(path, _STEP)
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
            descriptor = os.open(place.name, _READ, dir_fd=folder)
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
            temporary = f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"
            try:
                if node.kind == FILE:
                    with os.fdopen(os.open(temporary, _CREATE, 0o600, dir_fd=folder), "wb") as file:
                        file.write(content)
                        file.flush()
                        os.fchmod(file.fileno(), node.mode & _PLAIN)
                else:
                    os.symlink(node.target, temporary, dir_fd=folder)
                os.replace(temporary, place.name, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                with suppress(OSError):
                    os.unlink(temporary, dir_fd=folder)
                raise

    def set_mode(self, path: str, mode: int) -> None:
        """Sets the permissions of a file or folder."""
        place = PurePosixPath(path)
        with self._at(place.parent) as folder:
            self._set_mode(place.name, folder, mode)

    def _set_mode(self, name: str, folder: int, mode: int) -> None:
        descriptor = os.open(name, _READ, dir_fd=folder)
        try:
            os.fchmod(descriptor, mode & _PLAIN)
        finally:
            os.close(descriptor)

    @contextmanager
    def _at(self, place: PurePosixPath) -> Iterator[int]:
        """Opens a folder below this one, name by name."""
        descriptor = os.dup(self._descriptor)
        try:
            for name in place.parts:
                below = os.open(name, _STEP, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = below
            yield descriptor
        finally:
            os.close(descriptor)
