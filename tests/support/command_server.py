"""A process that has loaded Holdfast and forks into commands and workers: loading is most of what a short one costs.

`python -m tests.support.command_server DESCRIPTOR` serves the socket of that number until its other end closes.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import holdfast

ROOT = Path(__file__).parents[2]
LARGEST_REQUEST = 200_000  # bytes; Linux sends no longer packets
STREAMS = 3
DESCRIPTORS = STREAMS + 1  # of a request: the command's streams, and the socket that takes its pid and exit code


def main() -> None:
    """Serves requests, and in each forked process runs the requested command."""
    load()
    with socket.socket(fileno=int(sys.argv[1])) as requests:
        wanted = serve(requests)
    if wanted is not None:
        run(wanted)


def load() -> None:
    """Imports all modules of Holdfast, which starts no threads: they would not outlive a fork."""
    for module in pkgutil.walk_packages(holdfast.__path__, "holdfast."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    threads = list(Path("/proc/self/task").iterdir())
    assert len(threads) == 1, f"{len(threads)} threads run"


def serve(requests: socket.socket) -> dict[str, Any] | None:
    """Forks for each request.

    Returns:
        In a forked process its request; in the server `None`, when the other end has closed.
    """
    running: dict[int, tuple[int, socket.socket]] = {}  # pid and client of each command, by its pidfd
    with selectors.DefaultSelector() as selector:
        selector.register(requests, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is not requests:
                    selector.unregister(key.fileobj)
                    report_end(key.fd, *running.pop(key.fd))
                    continue
                request, descriptors, _, _ = socket.recv_fds(requests, LARGEST_REQUEST, DESCRIPTORS)
                if not request:
                    return None
                client = socket.socket(fileno=descriptors[STREAMS])
                if not (pid := os.fork()):
                    client.close()
                    forget(running)
                    take_streams(descriptors[:STREAMS])
                    return dict(json.loads(request))
                for descriptor in descriptors[:STREAMS]:
                    os.close(descriptor)
                client.send(str(pid).encode())
                ended = os.pidfd_open(pid)
                running[ended] = (pid, client)
                selector.register(ended, selectors.EVENT_READ)


def report_end(ended: int, pid: int, client: socket.socket) -> None:
    """Tells the client the exit code of a command that has ended."""
    os.close(ended)
    _, status = os.waitpid(pid, 0)
    with client, suppress(BrokenPipeError):  # nobody waits for it
        client.send(str(os.waitstatus_to_exitcode(status)).encode())


def forget(running: dict[int, tuple[int, socket.socket]]) -> None:
    """Closes what the server holds of other commands."""
    for ended, (_, client) in running.items():
        os.close(ended)
        client.close()


def take_streams(descriptors: Sequence[int]) -> None:
    """Makes these the standard streams of the process."""
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)


def run(wanted: dict[str, Any]) -> None:
    """Runs a script as an interpreter does that has just been started."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(wanted["folder"])
    os.environ.clear()
    os.environ.update(wanted["environment"])
    places = os.environ.get("PYTHONPATH", "")
    sys.path[1:1] = [str(Path(place).absolute()) for place in places.split(os.pathsep) if place]
    sys.argv = list(wanted["command"])
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
