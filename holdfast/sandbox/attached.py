"""The process that starts a server of this program, and ends it with all the processes that it started.

It runs as `python -I -S -B attached.py PARENT COMMAND [ARGUMENT ...]` and needs the standard library only. The server
has its standard streams. When the server ends, or the process PARENT does, in whatever way, nothing of it is left.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

IS_LINUX = sys.platform == "linux"
DEATH_SIGNAL = 1  # prctl(2): the signal that a process receives when its parent ends
STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
AWAITED = {*STOPS, signal.SIGCHLD}
STOP_GRACE = 1.0  # seconds that a server has to end after SIGTERM
PAUSE = 0.05  # seconds between two looks at a server that is ending, or where the system tells of no parent's end


def argv(command: str, args: list[str]) -> tuple[str, list[str]]:
    """Returns the program and its arguments that start a server attached to this process."""
    return sys.executable, ["-I", "-S", "-B", __file__, str(os.getpid()), command, *args]


class Attached:
    """A server, as a child of this process.

    Args:
        parent: id of the process that the server belongs to.
        command: the program and its arguments.
    """

    def __init__(self, parent: int, command: list[str]) -> None:
        self._parent = parent
        self._tree = _process_tree()
        signal.pthread_sigmask(signal.SIG_BLOCK, AWAITED)
        _die_with_parent(signal.SIGTERM)
        self._child = self._start(command)
        for stream in (0, 1):
            os.close(stream)  # they are the server's, so that each end sees that the other has gone

    def run(self) -> int:
        """Waits for the end of the server, or of its parent, and returns the exit code."""
        while not (self._has_ended() or self._must_stop()):
            pass
        if os.getppid() == self._parent and not self._has_ended():
            self._ask_to_stop()
        self._tree.kill(self._child, None)
        return int(self._tree.exits.get(self._child, 1))

    def _start(self, command: list[str]) -> int:
        child = os.fork()
        if child:
            return child
        try:
            os.setpgid(0, 0)
            _die_with_parent(signal.SIGKILL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, AWAITED)
            os.execvp(command[0], command)  # noqa: S606 - no shell is wanted
        except BaseException as error:  # noqa: BLE001 - this is the child, which must not return
            reason = error.strerror if isinstance(error, OSError) else error
            os.write(2, f"{command[0]}: {reason}\n".encode())
        finally:
            os._exit(127)

    def _has_ended(self) -> bool:
        self._tree.reap()
        return self._child in self._tree.exits

    def _must_stop(self) -> bool:
        """Waits for a signal, and returns whether the server must stop."""
        if os.getppid() != self._parent:
            return True
        if not IS_LINUX:
            time.sleep(PAUSE)
            return bool(signal.sigpending() & {*STOPS})
        return signal.sigwait(AWAITED) in STOPS

    def _ask_to_stop(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child, signal.SIGTERM)
        end = time.monotonic() + STOP_GRACE
        while not self._has_ended() and time.monotonic() < end:
            time.sleep(PAUSE)


def _process_tree() -> Any:
    """Returns the processes below this one; the package is not importable here."""
    spec = importlib.util.spec_from_file_location("supervisor", Path(__file__).with_name("supervisor.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Tree()


def _die_with_parent(number: signal.Signals) -> None:
    if IS_LINUX:
        ctypes.CDLL(None).prctl(DEATH_SIGNAL, int(number), 0, 0, 0)


if __name__ == "__main__":
    sys.exit(Attached(int(sys.argv[1]), sys.argv[2:]).run())
