"""A SurrealDB server for tests: started, stopped, frozen and restarted with the same port and files."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.support.freezing import freeze
from tests.support.tiers import patience

USERNAME, PASSWORD = "root", "correct horse"
START_TIMEOUT = patience(20.0)  # seconds; a start takes a fraction of one
HOW_TO_GET_IT = (
    "no SurrealDB server: install `surreal` (surrealdb.com/install) or put it into ~/.cache/holdfast-tests/bin"
)


class SurrealServer:
    """One server process at a time; a context manager, whose end kills it."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._was_killed = False

    @classmethod
    def find(cls, folder: Path) -> SurrealServer:
        """Returns a server with its files in `folder`, not started; skips the test if SurrealDB is not installed."""
        cache = Path.home() / ".cache" / "holdfast-tests" / "bin"
        program = shutil.which("surreal", path=os.pathsep.join((os.environ.get("PATH", ""), str(cache))))
        if program is None:
            pytest.skip(HOW_TO_GET_IT)
        return cls(program, folder)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"ws://127.0.0.1:{self._port}"

    @property
    def is_running(self) -> bool:
        """Whether there is a process."""
        return self._process is not None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self) -> None:
        """Starts it and waits until it answers; after a kill, the log of its files is closed first."""
        if self._was_killed:
            self._close_log()
        self._open(self._port)

    def kill(self) -> None:
        """Ends it as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            self._was_killed = True

    def tear_log(self, rest: bytes) -> None:
        """Leaves `rest` of an incomplete record at the end of the log, as a kill in the middle of a write may.

        Args:
            rest: what was written of it.
        """
        assert self._process is None
        newest = max(self._folder.glob("data/wal/*.wal"))
        with newest.open("ab") as log:
            log.write(rest)

    def stop(self) -> None:
        """Asks it to end, and waits."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Stops it in its tracks: connections stay, answers do not come."""
        assert self._process is not None
        freeze(self._process.pid)

    def thaw(self) -> None:
        """Lets it continue."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _close_log(self) -> None:
        """Opens the files where no client connects, and ends the server cleanly, which begins a new log.

        SurrealKV mishandles a log whose last record is incomplete, as a kill may leave it: it appends what
        it acknowledges to a file that is already deleted, or after the broken record, and loses it at the next kill.
        `sync=every`, the default, does not prevent this. A clean end moves everything to tables.
        """
        self._open(free_port())
        self.stop()
        self._was_killed = False

    def _open(self, port: int) -> None:
        options = ("--no-banner", "--user", USERNAME, "--pass", PASSWORD, "--bind", f"127.0.0.1:{port}")
        with (self._folder / "surreal.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, "start", *options, f"surrealkv://{self._folder}/data?sync=every"],
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_TIMEOUT
        while not _answers(port):
            assert self._process.poll() is None, (self._folder / "surreal.log").read_text()
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.02)


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def free_port() -> int:
    """Returns a port that no process listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
