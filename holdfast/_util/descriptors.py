"""Folders and files that are opened by descriptors, name by name, so that no link is followed."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import PurePosixPath

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # O_NONBLOCK: opening a pipe must not wait
CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
"""Flags of `os.open`."""

TEMPORARY_PREFIX = ".holdfast-"  # begins the names of files that are still being written


@contextmanager
def open_below(folder: int, place: PurePosixPath, *, create: bool = False) -> Iterator[int]:
    """Opens a folder below another one, and closes it at the end of the block.

    Args:
        folder: descriptor of the folder to begin at; it is closed as well.
        place: relative, and without `..`.
        create: create the folders that are missing.

    Raises:
        OSError: one of the names is missing, or is not a folder.
    """
    try:
        for name in place.parts:
            if create:
                _make(name, folder)
            below = os.open(name, FOLDER, dir_fd=folder)
            os.close(folder)
            folder = below
        yield folder
    finally:
        os.close(folder)


@contextmanager
def replacing(name: str, folder: int) -> Iterator[str]:
    """Yields a name for a new file or link, which replaces `name` at the end of the block, or is removed if it fails.

    Args:
        name: of the file that is created or replaced; others see either the old one or the new one.
        folder: descriptor of its folder.
    """
    temporary = f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"
    try:
        yield temporary
        os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise


def _make(name: str, parent: int) -> None:
    with suppress(FileExistsError):
        os.mkdir(name, dir_fd=parent)
        os.fsync(parent)
