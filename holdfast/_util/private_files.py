"""Files that belong to one user: locks that nobody else can hold, and replacements that nobody else can read."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from pathlib import Path

OWNER_ONLY = 0o600


def open_lock_file(path: Path, *, create: bool = True) -> int:
    """Opens the file of a lock and returns its descriptor, which child processes do not inherit.

    A lock can be held by everybody who can open its file. So the file must be this user's own, it is made unreadable
    for others, and a symbolic link is not followed.

    Args:
        path: the file.
        create: whether to create a missing file.

    Raises:
        OSError: the file cannot be opened, is a symbolic link or not a file, or belongs to another user.
    """
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | (os.O_CREAT if create else 0)
    try:
        descriptor = os.open(path, flags, OWNER_ONLY)
    except OSError as error:
        if error.errno == errno.ELOOP:
            error.strerror = "It is a symbolic link"
        raise
    try:
        _require_own_file(descriptor, path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def try_flock(descriptor: int) -> bool:
    """Takes the lock of an open file, until its descriptor is closed, and returns whether it was free."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _require_own_file(descriptor: int, path: Path) -> None:
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "It is not a regular file", str(path))
    if os.geteuid() not in (found.st_uid, 0):
        raise PermissionError(errno.EPERM, f"It belongs to another user (uid {found.st_uid})", str(path))
    if stat.S_IMODE(found.st_mode) & ~OWNER_ONLY:
        os.fchmod(descriptor, OWNER_ONLY)


def write_private(path: Path, text: str | bytes, *, durable: bool = True) -> None:
    """Replaces a file atomically by one that only this user can read: readers see either the old or the new one.

    Args:
        path: the file.
        text: its new content, which is written as UTF-8.
        durable: whether it must survive a power failure.
    """
    draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    draft.unlink(missing_ok=True)  # a leftover file might have other permissions
    opened = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, OWNER_ONLY)
    try:
        with os.fdopen(opened, "wb") as stream:
            stream.write(text.encode() if isinstance(text, str) else text)
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
