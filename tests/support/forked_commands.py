"""Commands and workers in processes that are forked from one that has loaded Holdfast; see `command_server`."""

from __future__ import annotations

import atexit
import functools
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from tests.support import tiers

ROOT = Path(__file__).parents[2]

LONGEST_ANSWER = 32  # bytes; a pid or an exit code


def may_fork() -> bool:
    """Returns whether this session forks: on Linux, and not in the slow tier, which starts fresh interpreters."""
    return hasattr(os, "pidfd_open") and not tiers.is_slow()


class ForkedProcess:
    """A Python script in a process that the server has forked.

    Args:
        command: path and arguments of the script.
        streams: descriptors of its standard streams.
        folder: its working directory.
        environment: its whole environment.
    """

    def __init__(
        self, command: Sequence[str], streams: tuple[int, int, int], *, folder: Path, environment: Mapping[str, str]
    ) -> None:
        request = {"command": [*command], "folder": str(folder), "environment": dict(environment)}
        self._answers, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            socket.send_fds(_server(), [json.dumps(request).encode()], [*streams, theirs.fileno()])
        self.pid = int(self._answers.recv(LONGEST_ANSWER))
        self._code: int | None = None

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
            self._answers.settimeout(timeout)
            self._code = int(self._answers.recv(LONGEST_ANSWER))
            self._answers.close()
        return self._code

    def send_signal(self, number: int) -> None:
        """Sends it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Ends it as a crash would."""
        self.send_signal(signal.SIGKILL)


def run(
    command: Sequence[str], given: bytes, *, folder: Path, environment: Mapping[str, str], timeout: float
) -> tuple[int, bytes, bytes]:
    """Runs a Python script to its end, and returns its exit code and what it wrote to its output streams.

    Args:
        command: path and arguments of the script.
        given: what it reads.
        folder: its working directory.
        environment: its whole environment.
        timeout: seconds until it must have ended.

    Raises:
        subprocess.TimeoutExpired: it did not end in time, and was killed.
    """
    with ThreadPoolExecutor(3) as threads:
        (stdin, writing), (reading_out, stdout), (reading_err, stderr) = os.pipe(), os.pipe(), os.pipe()
        process = ForkedProcess(command, (stdin, stdout, stderr), folder=folder, environment=environment)
        for descriptor in (stdin, stdout, stderr):
            os.close(descriptor)
        threads.submit(_write, writing, given)
        written = [threads.submit(_read, descriptor) for descriptor in (reading_out, reading_err)]
        try:
            code = process.wait(timeout)
        except TimeoutError:
            process.kill()
            process.wait()
            raise subprocess.TimeoutExpired(list(command), timeout) from None
        return code, written[0].result(), written[1].result()


def _write(descriptor: int, content: bytes) -> None:
    with suppress(BrokenPipeError), open(descriptor, "wb") as stream:
        stream.write(content)


def _read(descriptor: int) -> bytes:
    with open(descriptor, "rb") as stream:
        return stream.read()


@functools.cache
def _server() -> socket.socket:
    """Starts the server of this test process, which ends with it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.support.command_server", str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            cwd=ROOT,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # it would start threads when it is loaded
            pass_fds=[theirs.fileno()],
        )

    def end() -> None:
        ours.close()
        server.wait()

    atexit.register(end)
    return ours
