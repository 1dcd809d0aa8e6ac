"""Locks between processes: an `flock` on a file, which the kernel releases when its holder ends."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

RETRY_INTERVAL = 0.05  # seconds between attempts, while another process holds the lock


def try_lock(path: Path) -> int | None:
    """Tries to acquire the lock on a file, which is created if necessary.

    Returns:
        The file descriptor that holds the lock until it is closed, here and in every process
        that inherited it; `None` if another process holds the lock.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def is_locked(path: Path) -> bool:
    """Returns whether a process holds the lock, without creating the file."""
    if not path.exists():
        return False
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@asynccontextmanager
async def locked(path: Path, on_wait: Callable[[], None]) -> AsyncIterator[None]:
    """Holds the lock during the block; calls `on_wait` once if it must wait for it."""
    descriptor = try_lock(path)
    if descriptor is None:
        on_wait()
    while descriptor is None:
        await asyncio.sleep(RETRY_INTERVAL)
        descriptor = try_lock(path)
    try:
        yield
    finally:
        os.close(descriptor)
