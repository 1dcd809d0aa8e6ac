"""Locks between processes: an `flock` on a file, which the kernel releases when its holder ends."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from holdfast._util.private_files import open_lock_file, try_flock
from holdfast.errors import SettingsError

RETRY_INTERVAL = 0.05  # seconds between attempts, while another process holds the lock


def try_lock(path: Path) -> int | None:
    """Tries to acquire the lock on a file, which is created if necessary.

    Returns:
        The file descriptor that holds the lock until it is closed, here and in every process
        that inherited it; `None` if another process holds the lock.

    Raises:
        SettingsError: the file cannot be used as a lock, as others could hold it for ever.
    """
    try:
        descriptor = open_lock_file(path)
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be used as a lock: {error.strerror}. Remove it, or name another state folder"
        ) from error
    acquired = False
    try:
        acquired = try_flock(descriptor)
    finally:
        if not acquired:
            os.close(descriptor)
    return descriptor if acquired else None


def is_locked(path: Path) -> bool:
    """Returns whether a process holds the lock, without creating the file."""
    try:
        descriptor = open_lock_file(path, create=False)
    except OSError:
        return False
    try:
        return not try_flock(descriptor)
    finally:
        os.close(descriptor)


@asynccontextmanager
async def locked(path: Path, on_wait: Callable[[], None]) -> AsyncIterator[None]:
    """Holds the lock during the block; calls `on_wait` once if it must wait for it."""
    from asyncio import sleep  # noqa: PLC0415 - the supervisor uses this module without an event loop

    descriptor = try_lock(path)
    if descriptor is None:
        on_wait()
    while descriptor is None:
        await sleep(RETRY_INTERVAL)
        descriptor = try_lock(path)
    try:
        yield
    finally:
        os.close(descriptor)
