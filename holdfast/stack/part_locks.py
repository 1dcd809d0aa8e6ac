"""Claims of the stack's parts: at most one process at a time is the Temporal server, the worker, and so on.

Each part's process inherits the lock on `<part>.lock`, which the kernel releases when the process ends. The file says
which process that is, so the stack finds its parts even if `stack.json` is lost. Only the standard library is used, as
the supervisor has to stay small.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from holdfast.errors import Unavailable
from holdfast.stack import process
from holdfast.stack.locks import is_locked, try_lock

PartName = Literal["temporal", "model", "worker", "supervisor"]

TITLES: Mapping[PartName, str] = {
    "worker": "worker",
    "model": "scripted model server",
    "temporal": "Temporal server",
    "supervisor": "supervisor",
}

RELEASE_TIMEOUT = 2.0  # seconds until the kernel has released the lock of a process that was killed
RETRY_INTERVAL = 0.02  # seconds between attempts meanwhile

CLAIM_VARIABLE = "HOLDFAST_CLAIM"
"""Names the inherited descriptor, so that the process does not pass it on to programs that it starts."""


class PartRunning(Unavailable):
    """A process that is still running has the claim."""


class PartLock:
    """The claim of a part, acquired for a process that is about to start."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    @property
    def variables(self) -> dict[str, str]:
        """Environment variables for the process that inherits the claim."""
        return {CLAIM_VARIABLE: str(self.descriptor)}

    def record(self, part: Mapping[str, Any]) -> None:
        """Records the process that inherits the claim, as plain values with at least `pid` and `born`."""
        os.pwrite(self.descriptor, json.dumps(part).encode(), 0)


@contextmanager
def claimed(home: Path, name: PartName) -> Iterator[PartLock]:
    """Acquires a part's claim; after the block, only the process that inherited it has it.

    A process that was killed may need a moment to disappear. A child process that has outlived a part, and inherited
    its claim, does not keep it.

    Raises:
        PartRunning: a running process has the claim.
    """
    descriptor = _acquired(home, name)
    try:
        os.truncate(descriptor, 0)  # until the next process is recorded, the holder is unknown
        yield PartLock(descriptor)
    finally:
        os.close(descriptor)


def _acquired(home: Path, name: PartName) -> int:
    path = lock_path(home, name)
    deadline = time.monotonic() + RELEASE_TIMEOUT
    while (descriptor := try_lock(path)) is None:
        if time.monotonic() > deadline:
            running = holder(home, name)
            if running is not None or not _is_recorded(path):
                raise PartRunning(_refusal(path, name, running))
            path.unlink(missing_ok=True)
        time.sleep(RETRY_INTERVAL)
    return descriptor


def _refusal(path: Path, name: PartName, running: Mapping[str, Any] | None) -> str:
    who = f"process {running['pid']}" if running else "an unknown process"
    return f"another {TITLES[name]} is running: {who} holds {path}. Stop it, for example with `down`, and try again"


def holder(home: Path, name: PartName) -> dict[str, Any] | None:
    """Returns what is recorded of the running process that has a part's claim; `None` if there is none.

    If its start was interrupted before it was recorded, only `pid` and `born` are known.
    """
    path = lock_path(home, name)
    if not is_locked(path):
        return None
    recorded = _recorded(path)
    if recorded is None:
        return _unrecorded_holder(path)
    return recorded if process.is_alive(recorded["pid"], recorded["born"]) else None  # else a child has outlived it


def last_holder(home: Path, name: PartName) -> dict[str, Any] | None:
    """Returns what is recorded of the last process that had a part's claim, running or not; `None` if nothing is."""
    return _recorded(lock_path(home, name))


def lock_path(home: Path, name: PartName) -> Path:
    """Returns the file of a part's claim."""
    return home / f"{name}.lock"


_imported_ns = time.time_ns()
_has_claim = False


def started_ns() -> int:
    """Returns when this process began to load the package, in nanoseconds since 1970."""
    return _imported_ns


def is_part() -> bool:
    """Returns whether this process is a part of a stack."""
    return _has_claim


def keep_claim_to_this_process() -> None:
    """Keeps programs that this process starts from inheriting its claim, if it has one."""
    global _has_claim  # noqa: PLW0603 - a process is a part or not
    descriptor = os.environ.pop(CLAIM_VARIABLE, "")
    if descriptor.isdigit():
        _has_claim = True
        flags = fcntl.fcntl(int(descriptor), fcntl.F_GETFD)
        fcntl.fcntl(int(descriptor), fcntl.F_SETFD, flags | fcntl.FD_CLOEXEC)


def _is_recorded(path: Path) -> bool:
    return _recorded(path) is not None


def _recorded(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    usable = isinstance(found, dict) and isinstance(found.get("pid"), int) and isinstance(found.get("born"), str)
    return found if usable else None


def _unrecorded_holder(path: Path) -> dict[str, Any] | None:
    """Returns the oldest process that has the file open; `None` where the system does not tell."""
    found = [(born, pid) for pid in process.users_of(path) if (born := process.birth(pid))]
    if not found:
        return None
    born, pid = min(found, key=lambda one: (len(one[0]), one))
    return {"pid": pid, "born": born}
