"""Client of `command_server`, which forks Python scripts from a process that has loaded Holdfast.

Only the standard library is used, because this is also a program: `python -IS fork_client.py SCRIPT ARGUMENTS` runs a
script as `python SCRIPT ARGUMENTS` does.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence

SERVER = "HOLDFAST_TEST_FORKS"
"""The environment variable that names the server's socket, in Linux's abstract namespace."""

LONGEST_ANSWER = 32  # bytes; a pid or an exit code


class ForkedProcess:
    """A Python script in a process that the server has forked.

    Args:
        command: path and arguments of the script; `-P` before them keeps its folder out of the module search path.
        streams: descriptors of its standard streams.
        folder: its working directory.
        environment: its environment, to which the name of the server is added.
        keep: other descriptors that it inherits, with their numbers.
        in_background: whether it has a session of its own, and may start parts of the stack only as the stack does.
    """

    def __init__(
        self,
        command: Sequence[str],
        streams: Sequence[int],
        *,
        folder: str | os.PathLike[str],
        environment: Mapping[str, str],
        keep: Sequence[int] = (),
        in_background: bool = False,
    ) -> None:
        request = {
            "command": [*command],
            "folder": os.fspath(folder),
            "environment": {**environment, SERVER: os.environ[SERVER]},
            "descriptors": [0, 1, 2, *keep],
            "in_background": in_background,
        }
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._server.connect("\0" + os.environ[SERVER])
        socket.send_fds(self._server, [json.dumps(request).encode()], [*streams, *keep])
        self.pid = int(self._server.recv(LONGEST_ANSWER))
        self._code: int | None = None

    def detach(self) -> int:
        """Leaves it alone, and returns its pid."""
        self._server.close()
        return self.pid

    def poll(self) -> int | None:
        """Returns the exit code; `None` means that it has not ended."""
        try:
            return self.wait(0)
        except BlockingIOError:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """Waits until it has ended, and returns the exit code.

        Raises:
            TimeoutError: it has not ended in that many seconds.
        """
        if self._code is None:
            self._server.settimeout(timeout)
            self._code = int(self._server.recv(LONGEST_ANSWER))
            self._server.close()
        return self._code

    def send_signal(self, number: int) -> None:
        """Sends it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Ends it as a crash would."""
        self.send_signal(signal.SIGKILL)


def main() -> None:
    """Runs a script in a forked process, and ends as it does."""
    code = ForkedProcess(sys.argv[1:], (0, 1, 2), folder=os.getcwd(), environment=os.environ).wait()  # noqa: PTH109
    if code < 0:
        os.kill(os.getpid(), -code)
    sys.exit(code)


if __name__ == "__main__":
    main()
