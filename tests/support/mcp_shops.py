"""The MCP server of the tests, as tests start it and see what it did."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from holdfast import MCPServer
from tests.support.cli import ROOT
from tests.support.tiers import patience

PROGRAM = ROOT / "tests" / "support" / "mcp_shop.py"
TIMEOUT = patience(60.0)  # seconds for a condition; reached only when a test fails
TOKEN = "sesame"
FOLDER = "SHOP_FOLDER"
"""Environment variable of workers with the agents of `mcp_desk.py`: where their server writes down what it does."""


@dataclass
class Shop:
    """A server whose tools write down in a folder what they do."""

    folder: Path

    def server(self, **options: Any) -> MCPServer:
        """Returns the server as a process."""
        return MCPServer("shop", command=sys.executable, args=[str(PROGRAM), str(self.folder), "stdio"], **options)

    def notes(self, name: str) -> list[str]:
        """Returns what was written down."""
        file = self.folder / name
        return file.read_text().splitlines() if file.exists() else []

    def wait_for(self, name: str, count: int = 1) -> None:
        """Waits until this much was written down."""
        end = time.monotonic() + TIMEOUT
        while len(self.notes(name)) < count:
            assert time.monotonic() < end, f"{name}: {self.notes(name)}"
            time.sleep(0.02)

    def kill(self) -> None:
        """Kills the newest process of the server, and waits until it has gone."""
        process = psutil.Process(int(self.notes("started")[-1]))
        process.send_signal(signal.SIGKILL)
        with suppress(psutil.NoSuchProcess):
            process.wait(TIMEOUT)

    def assert_gone(self) -> None:
        """Waits until no process of the server is left."""
        end = time.monotonic() + TIMEOUT
        while left := [pid for pid in map(int, self.notes("started")) if _lives(pid)]:
            assert time.monotonic() < end, f"still running: {left}"
            time.sleep(0.02)

    @contextmanager
    def over_http(self, port: int) -> Iterator[subprocess.Popen[bytes]]:
        """Runs the server over HTTP, until the end of the block or until it is killed."""
        begun = len(self.notes("serving"))
        command = [sys.executable, str(PROGRAM), str(self.folder), "http", str(port)]
        with subprocess.Popen(command, env={**os.environ, "PYTHONWARNINGS": "ignore"}) as process:
            try:
                self.wait_for("serving", begun + 1)
                yield process
            finally:
                process.kill()


def _lives(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
