"""Locks between processes: an `flock` on a file, which the kernel lets go when its holder dies."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

RETRY_INTERVAL = 0.05  # seconds between attempts, while another process holds the lock


def try_lock(path: Path) -> int | None:
    """Takes the lock on a file, made if need be.

    Returns:
        The file descriptor that holds the lock until it is closed, here and in every process
        that inherited it; None when another process holds it.
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
    """Whether some process holds the lock; changes nothing, not even by making the file."""
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
    """Holds the lock for the block; waits for it, after calling `on_wait` once."""
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
