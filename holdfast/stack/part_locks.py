"""Locks of the stack's parts, which hold even if `stack.json` has been lost.

Each part's process inherits a lock on `<part>.lock`, which the kernel releases when the process
ends. Without it, a lost `stack.json` would lead to a second Temporal server on the same database.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from holdfast.stack.locks import is_locked, try_lock
from holdfast.stack.process import is_alive
from holdfast.stack.state import Part, PartName


class Holder(NamedTuple):
    """The process that holds a part's lock; see `process.birth`."""

    pid: int
    born: str


def holder(home: Path, name: PartName) -> Holder | None:
    """Returns the running process that holds a part's lock, if there is one."""
    path = _path(home, name)
    if not is_locked(path):
        return None
    pid, _, born = path.read_text().partition(" ")
    if not pid.isdigit() or not is_alive(int(pid), born):
        return None  # a child process has outlived it
    return Holder(int(pid), born)


class PartLock:
    """The lock of a part, acquired for a process that is about to start."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    @property
    def inherited(self) -> tuple[int, ...]:
        """File descriptors that the process must inherit."""
        return () if self._descriptor is None else (self._descriptor,)

    @property
    def is_acquired(self) -> bool:
        """Whether the lock was acquired, that is, no other process held it."""
        return self._descriptor is not None

    def record(self, part: Part) -> None:
        """Records the process that inherits the lock."""
        if self._descriptor is not None:
            os.truncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{part.pid} {part.born}".encode(), 0)


@contextmanager
def lock_part(home: Path, name: PartName) -> Iterator[PartLock]:
    """Tries to acquire a part's lock; after the block, only the process that inherited it holds it."""
    descriptor = try_lock(_path(home, name))
    try:
        yield PartLock(descriptor)
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _path(home: Path, name: PartName) -> Path:
    return home / f"{name}.lock"
