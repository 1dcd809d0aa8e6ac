"""Processes that are alive but frozen."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

POLL_INTERVAL = 0.001  # seconds


def freeze(pid: int) -> None:
    """Stops a process that this one, or its command server, has started, and waits until all its threads have."""
    os.kill(pid, signal.SIGSTOP)
    threads = Path(f"/proc/{pid}/task")
    if not threads.exists():
        os.waitid(os.P_PID, pid, os.WSTOPPED)
    while not all(map(_has_stopped, threads.glob("*/stat"))):
        time.sleep(POLL_INTERVAL)


def _has_stopped(stat: Path) -> bool:
    try:
        return stat.read_text().rpartition(")")[2].split()[0] in "TZX"
    except OSError:  # the thread has ended
        return True
