"""Commands in processes that are forked from one that has loaded Holdfast; see `command_server`."""

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
from contextlib import ExitStack, suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]

CAN_FORK = hasattr(os, "pidfd_open")
"""Whether the command server works on this system: on Linux."""


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
    request = json.dumps({"command": [*command], "folder": str(folder), "environment": dict(environment)}).encode()
    with ExitStack() as opened, ThreadPoolExecutor(3) as threads:
        (stdin, writing), (reading_out, stdout), (reading_err, stderr) = os.pipe(), os.pipe(), os.pipe()
        client, theirs = socket.socketpair()
        socket.send_fds(_server(), [request], [stdin, stdout, stderr, theirs.fileno()])
        theirs.close()
        for descriptor in (stdin, stdout, stderr):
            os.close(descriptor)
        answers = opened.enter_context(opened.enter_context(client).makefile("rb"))
        threads.submit(_write, writing, given)
        written = [threads.submit(_read, descriptor) for descriptor in (reading_out, reading_err)]
        pid = int(answers.readline())
        client.settimeout(timeout)
        try:
            code = int(answers.readline())
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
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
