"""Commands and workers in processes that are forked from one that has loaded Holdfast; see `command_server`."""

from __future__ import annotations

import atexit
import functools
import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from tests.support import fork_client, tiers
from tests.support.fork_client import SERVER, ForkedProcess

ROOT = Path(__file__).parents[2]

ROOM = "x" * 60_000
"""In the environment of the server, so that each forked process has room for its own; see `show_environment`."""


def may_fork() -> bool:
    """Returns whether this session forks: on Linux, and not in the slow tier, which starts fresh interpreters."""
    return hasattr(os, "pidfd_open") and not tiers.is_slow()


def start(
    command: Sequence[str], streams: Sequence[int], *, folder: Path, environment: Mapping[str, str]
) -> ForkedProcess:
    """Starts a Python script in a forked process; see `ForkedProcess`."""
    start_server()
    return ForkedProcess(command, streams, folder=folder, environment=environment)


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
        process = start(command, (stdin, stdout, stderr), folder=folder, environment=environment)
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


def write_python(path: Path) -> None:
    """Writes a program that acts as `python3`, which runs scripts in forked processes."""
    start_server()
    client = f'exec {sys.executable} -IS {fork_client.__file__} "$@"'
    path.write_text(f'#!/bin/sh\ncase "$1" in\n  *.py) {client};;\n  *) exec {sys.executable} "$@";;\nesac\n')
    path.chmod(0o755)


def _write(descriptor: int, content: bytes) -> None:
    with suppress(BrokenPipeError), open(descriptor, "wb") as stream:
        stream.write(content)


def _read(descriptor: int) -> bytes:
    with open(descriptor, "rb") as stream:
        return stream.read()


def start_server() -> None:
    """Starts the server of this test process, which ends with it, and names it in the environment of the test."""
    os.environ[SERVER] = _server()


@functools.cache
def _server() -> str:
    name = f"holdfast-tests-{uuid.uuid4().hex}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind("\0" + name)
        listener.listen()
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.support.command_server", str(listener.fileno())],
            stdin=subprocess.PIPE,  # ends the server when it closes
            stdout=subprocess.DEVNULL,
            cwd=ROOT,
            env={**os.environ, "ROOM": ROOM, "OPENBLAS_NUM_THREADS": "1"},  # it would start threads when it is loaded
            pass_fds=[listener.fileno()],
        )
    atexit.register(server.communicate)
    return name
