"""Limits of commands."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path

MB = 1024 * 1024
COUNTS_PER_NAMESPACE = (5, 14)  # the first Linux that counts a user's processes in each user namespace apart


@dataclass(frozen=True)
class Limits:
    """What one command may use; a process that exceeds a limit of its own gets an error or is killed."""

    memory: int = 2048 * MB
    """Bytes, of all processes together; beyond it the command is killed. One process cannot allocate more than that."""
    processes: int = 256
    """Processes and threads at the same time."""
    file_size: int = 1024 * MB
    """Bytes of one file."""
    cpu_seconds: int = 600
    """Of one process."""
    open_files: int = 1024
    """Of one process."""
    temporary: int = 512 * MB
    """Bytes of all temporary files; held in memory."""

    def of_process(self, *, shares_user: bool) -> dict[str, int]:
        """Returns the limits that the kernel enforces, by their names in `resource`.

        Args:
            shares_user: whether the kernel counts other processes of this worker's user as well.
        """
        others = _running_threads() if shares_user else 0
        return {
            "CPU": self.cpu_seconds,
            "FSIZE": self.file_size,
            "DATA": self.memory,
            "NOFILE": self.open_files,
            "CORE": 0,
            "NPROC": others + self.processes,
        }


def counts_per_namespace() -> bool:
    """Whether the kernel counts the processes in a user namespace apart from others of the same user."""
    found = re.match(r"(\d+)\.(\d+)", platform.release())
    return found is not None and (int(found[1]), int(found[2])) >= COUNTS_PER_NAMESPACE


def _running_threads() -> int:
    """Returns the number of threads of this process's user."""
    user, threads = os.getuid(), 0
    for process in Path("/proc").iterdir():
        if not process.name.isdecimal():
            continue
        try:
            if process.stat().st_uid == user:
                threads += sum(1 for _ in (process / "task").iterdir())
        except OSError:  # it has ended
            continue
    return threads
