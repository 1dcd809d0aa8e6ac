"""A process that has loaded Holdfast and forks into commands and workers: loading is most of what a short one costs.

`python -m tests.support.command_server DESCRIPTOR` serves the listening socket of that number until its standard input
closes. Each connection is one forked process: a request with its descriptors, then its pid and exit code as answers.
"""

from __future__ import annotations

import ctypes
import fcntl
import gc
import importlib
import json
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import holdfast
from holdfast.stack import part_locks
from tests.support import forked_parts

LARGEST_REQUEST = 200_000  # bytes; Linux sends no longer packets
MOST_DESCRIPTORS = 8  # of a request
UNUSED = 500  # descriptors from here on are free when a forked process begins
ENV_START, ENV_END = 47, 48  # fields of /proc/self/stat after the command's name


def main() -> None:
    """Serves requests, and in each forked process runs the requested command."""
    load()
    with socket.socket(fileno=int(sys.argv[1])) as listener, Server(listener) as server:
        request = server.serve()
    if request is not None:
        request.run()


def load() -> None:
    """Imports all modules of Holdfast, which starts no threads: they would not outlive a fork."""
    for module in pkgutil.walk_packages(holdfast.__path__, "holdfast."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    gc.freeze()  # else each fork looks through all of this, at the latest when it ends, and thereby copies it
    threads = list(Path("/proc/self/task").iterdir())
    assert len(threads) == 1, f"{len(threads)} threads run"


@dataclass(frozen=True)
class Request:
    """What a forked process is to do.

    Attributes:
        content: the request as `ForkedProcess` sends it.
        received: its descriptors, under the numbers that they have in this process.
    """

    content: dict[str, Any]
    received: Sequence[int]

    def run(self) -> None:
        """Runs the script as an interpreter does that has just been started."""
        if self.content["in_background"]:
            os.setsid()
        else:
            forked_parts.install()
        place_descriptors(self.received, self.content["descriptors"])
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.chdir(self.content["folder"])
        take_environment(self.content["environment"])
        part_locks._imported_ns = time.time_ns()  # files of a user that are older have not been loaded yet
        sys.argv = self.content["command"]
        places = [place for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place]
        if sys.argv[0] == "-P":
            del sys.argv[0]
        else:
            places.insert(0, str(Path(sys.argv[0]).resolve().parent))
        sys.path[:1] = [str(Path(place).absolute()) for place in places]
        runpy.run_path(sys.argv[0], run_name="__main__")


class Server:
    """Forks for each request.

    Args:
        listener: the socket to which clients connect.
    """

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._events = selectors.DefaultSelector()
        self._running: dict[int, tuple[int, socket.socket]] = {}
        """Pid and client of each forked process, by its pidfd."""

    def __enter__(self) -> Self:
        self._events.register(0, selectors.EVENT_READ)
        self._events.register(self._listener, selectors.EVENT_READ)
        return self

    def __exit__(self, *_error: object) -> None:
        self._events.close()
        for ended, (_, client) in self._running.items():
            os.close(ended)
            client.close()

    def serve(self) -> Request | None:
        """Returns in each forked process its request; in the server `None`, when its standard input has closed."""
        while True:
            for key, _ in self._events.select():
                if key.fd == 0:
                    return None
                if key.fileobj is not self._listener:
                    self._report_end(key.fd)
                elif request := self._accept():
                    return request

    def _accept(self) -> Request | None:
        client, _ = self._listener.accept()
        content, received, *_ = socket.recv_fds(client, LARGEST_REQUEST, MOST_DESCRIPTORS)
        if not (pid := os.fork()):
            client.close()
            return Request(json.loads(content), received)
        for descriptor in received:
            os.close(descriptor)
        self._watch(pid, client)
        return None

    def _watch(self, pid: int, client: socket.socket) -> None:
        client.send(str(pid).encode())
        ended = os.pidfd_open(pid)
        self._running[ended] = (pid, client)
        self._events.register(ended, selectors.EVENT_READ)

    def _report_end(self, ended: int) -> None:
        pid, client = self._running.pop(ended)
        self._events.unregister(ended)
        os.close(ended)
        _, status = os.waitpid(pid, 0)
        with client, suppress(BrokenPipeError):  # nobody waits for it
            client.send(str(os.waitstatus_to_exitcode(status)).encode())


def place_descriptors(received: Sequence[int], wanted: Sequence[int]) -> None:
    """Gives the received descriptors the wanted numbers, and makes the first three the standard streams."""
    moved = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, UNUSED) for descriptor in received]
    for descriptor in received:
        os.close(descriptor)
    for descriptor, number in zip(moved, wanted, strict=True):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)


def take_environment(variables: dict[str, str]) -> None:
    """Makes these the environment of this process, also where /proc shows it: the stack reads its worker's there."""
    os.environ.clear()
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[ENV_START]), int(fields[ENV_END])
    content = b"".join(os.fsencode(f"{name}={value}") + b"\0" for name, value in variables.items())
    assert len(content) < end - start
    ctypes.memset(start, 0, end - start)
    ctypes.memmove(start, content, len(content))
    os.environ.update(variables)


if __name__ == "__main__":
    main()
