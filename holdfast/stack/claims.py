"""Who holds a part's place in the state folder, even when `stack.json` has been lost.

Each part's process inherits a lock on `<part>.lock`, which the kernel keeps for as long as the
process lives. Without it a lost `stack.json` would lead to a second Temporal server on the same
database.
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
    """The process that holds a place; see `process.birth`."""

    pid: int
    born: str


def holder(home: Path, name: PartName) -> Holder | None:
    """The living process that holds a part's place, if there is one."""
    path = _path(home, name)
    if not is_locked(path):
        return None
    pid, _, born = path.read_text().partition(" ")
    if not pid.isdigit() or not is_alive(int(pid), born):
        return None  # a stray child of the process has outlived it
    return Holder(int(pid), born)


class Claim:
    """A part's place, taken for a process that is about to start."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    @property
    def inherited(self) -> tuple[int, ...]:
        """File descriptors that the process must inherit."""
        return () if self._descriptor is None else (self._descriptor,)

    @property
    def is_free(self) -> bool:
        """Whether nobody held the place, recorded or not."""
        return self._descriptor is not None

    def record(self, part: Part) -> None:
        """Writes down whose the place is."""
        if self._descriptor is not None:
            os.truncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{part.pid} {part.born}".encode(), 0)


@contextmanager
def claim(home: Path, name: PartName) -> Iterator[Claim]:
    """Takes a part's place; after the block the process that inherited the claim alone holds it."""
    descriptor = try_lock(_path(home, name))
    try:
        yield Claim(descriptor)
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _path(home: Path, name: PartName) -> Path:
    return home / f"{name}.lock"
