"""The command line, run in processes of its own, as users and scripts run it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from holdfast.settings import Settings
from tests.support import forked_commands
from tests.support.tiers import patience

ROOT = Path(__file__).parents[2]
STARTER = (sys.executable, str(ROOT / "starter.py"))
TIMEOUT = patience(100.0)  # seconds for one command; the first one of a stack starts everything else
REPEAT_INTERVAL = 0.5  # seconds between commands that wait for something; one takes a tenth of a processor's second
NO_CHANGES: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    stdout: bytes
    stderr: bytes

    @property
    def out(self) -> str:
        """The text on stdout."""
        return self.stdout.decode()

    @property
    def err(self) -> str:
        """The text on stderr."""
        return self.stderr.decode()

    @property
    def json(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.stdout)


@dataclass(frozen=True)
class CommandLine:
    """Runs commands of `starter.py`.

    Attributes:
        settings: environment variables of each command; settings of the test process are not inherited, except its
            state folder by a command without a folder of its own, see `tests/conftest.py`.
        folder: the working directory; `None` means that of the tests.
    """

    settings: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None

    def environment(self, changes: Mapping[str, str] = NO_CHANGES) -> dict[str, str]:
        """Returns the whole environment of a command."""
        known = {name.upper() for name in Settings.model_fields}
        if self.folder is None:
            known -= {"HOLDFAST_HOME"}
        inherited = {name: value for name, value in os.environ.items() if name not in known}
        return {**inherited, "HOLDFAST_NO_BOOTSTRAP": "1", "COLUMNS": "80", **self.settings, **changes}

    def start(self, *words: str, changes: Mapping[str, str] = NO_CHANGES) -> subprocess.Popen[bytes]:
        """Starts a command in a fresh interpreter, with a pipe for each stream."""
        return subprocess.Popen(
            [*STARTER, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.folder,
            env=self.environment(changes),
        )

    def __call__(
        self,
        *words: str,
        stdin: str | bytes = b"",
        changes: Mapping[str, str] = NO_CHANGES,
        timeout: float = TIMEOUT,
    ) -> Done:
        """Runs a command to its end; see `forked_commands`.

        Args:
            words: the command and its arguments.
            stdin: what the command reads.
            changes: environment variables of this command.
            timeout: seconds until the command must have ended.

        Raises:
            AssertionError: the command wrote a traceback.
            subprocess.TimeoutExpired: the command did not end in time.
        """
        given = stdin.encode() if isinstance(stdin, str) else stdin
        run = self._forked if forked_commands.may_fork() else self._fresh
        done = run(words, given, changes, timeout)
        assert "Traceback" not in done.err, done.err
        return done

    def _forked(self, words: Sequence[str], given: bytes, changes: Mapping[str, str], timeout: float) -> Done:
        command, folder = [*STARTER[1:], *words], self.folder or Path.cwd()
        environment = self.environment(changes)
        return Done(*forked_commands.run(command, given, folder=folder, environment=environment, timeout=timeout))

    def _fresh(self, words: Sequence[str], given: bytes, changes: Mapping[str, str], timeout: float) -> Done:
        with self.start(*words, changes=changes) as process:
            try:
                out, err = process.communicate(given, timeout=timeout)
            finally:
                process.kill()
        return Done(process.returncode, out, err)

    def repeat(self, *words: str, until: Callable[[Any], object]) -> Any:
        """Repeats a command with `--json` until what it prints satisfies a condition, and returns that.

        Raises:
            AssertionError: it did not in time.
        """
        deadline = time.monotonic() + TIMEOUT
        while not until(shown := self(*words, "--json").json):
            assert time.monotonic() < deadline, shown
            time.sleep(REPEAT_INTERVAL)
        return shown

    async def run(self, *words: str, stdin: str | bytes = b"", changes: Mapping[str, str] = NO_CHANGES) -> Done:
        """Runs a command to its end, while the loop of the test continues."""
        return await asyncio.to_thread(self, *words, stdin=stdin, changes=changes)
