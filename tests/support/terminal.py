"""A command on a terminal, typed into as a person does."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.support.tiers import patience

ENTER, CTRL_D = "\r", "\x04"
PROMPT = "\x1b[?2004h"
"""Sent to the terminal when a prompt is shown: it turns on bracketed paste."""
TIMEOUT = patience(60.0)  # seconds for what a person waits for; reached only when a test fails


@dataclass
class Terminal:
    """A process whose standard streams are a terminal of 80 columns.

    Attributes:
        shown: everything that it has written.
    """

    process: subprocess.Popen[bytes]
    _descriptor: int
    shown: str = ""
    _read: int = field(default=0)

    def type(self, text: str) -> None:
        """Types text, and the keys below."""
        os.write(self._descriptor, text.encode())

    def interrupt(self) -> None:
        """Does what a terminal does at Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def wait_for(self, text: str) -> None:
        """Waits until a text is shown after what was waited for before.

        Raises:
            AssertionError: it was not shown in time.
        """
        deadline = time.monotonic() + TIMEOUT
        while (place := self.shown.find(text, self._read)) < 0:
            assert time.monotonic() < deadline, f"{text!r} is not shown, but:\n{self.shown[self._read :]}"
            if select.select([self._descriptor], [], [], 0.1)[0]:
                try:
                    self.shown += os.read(self._descriptor, 65_536).decode("utf-8", "replace")
                except OSError:  # the process has ended
                    assert text in self.shown[self._read :], f"it ended; shown:\n{self.shown[self._read :]}"
        self._read = place + len(text)

    def ended(self) -> int:
        """Waits for the end of the process and returns its exit code."""
        deadline = time.monotonic() + TIMEOUT
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"it has not ended; shown:\n{self.shown[self._read :]}"
            with contextlib.suppress(OSError):
                if select.select([self._descriptor], [], [], 0.1)[0]:
                    self.shown += os.read(self._descriptor, 65_536).decode("utf-8", "replace")
        return self.process.returncode


@contextmanager
def on_terminal(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[Terminal]:
    """Runs a command on a terminal, and ends it after the block."""
    ours, theirs = pty.openpty()
    environment = {**environment, "TERM": "xterm", "COLUMNS": "80", "LINES": "30", "PROMPT_TOOLKIT_NO_CPR": "1"}
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
    ) as process:
        os.close(theirs)
        try:
            yield Terminal(process, ours)
        finally:
            process.kill()
            os.close(ours)
