"""Processes that are alive but frozen."""

from __future__ import annotations

import os
import signal


def freeze(child: int) -> None:
    """Stops a process that this one has started, and waits until each of its threads has stopped."""
    os.kill(child, signal.SIGSTOP)
    os.waitid(os.P_PID, child, os.WSTOPPED)
