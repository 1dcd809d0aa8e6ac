"""Commands that run to their end without blocking the event loop."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

KEPT_LINES = 12  # last lines of output, for the error message


class CommandFailed(Exception):
    """A command did not start, failed, or timed out; the message contains its last output."""


async def run(
    command: Sequence[str],
    *,
    timeout: float,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    is_progress: Callable[[str], bool] = lambda _line: False,
) -> str:
    """Runs a command and returns the last lines of its output.

    Args:
        command: program and arguments.
        timeout: seconds after which the command and its child processes are killed.
        cwd: its working directory.
        env: variables to add to the environment.
        is_progress: called with each line as it is written; those for which it returns True are not kept.

    Raises:
        CommandFailed: it did not start, ended with an exit code other than 0, or timed out.
    """
    last: deque[str] = deque(maxlen=KEPT_LINES)
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, cwd=cwd, env={**os.environ, **(env or {})},
            start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise CommandFailed(f"{command[0]}: {error.strerror}") from error
    try:
        async with asyncio.timeout(timeout):
            code = await _follow(process, last, is_progress)
    except TimeoutError as error:
        raise CommandFailed(f"{command[0]} had not ended after {timeout:.0f} s") from error
    finally:
        if process.returncode is None:  # timed out or cancelled
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if code != 0:
        raise CommandFailed("\n    ".join([f"{command[0]} failed (exit code {code})", *last]))
    return "\n".join(last)


async def _follow(process: Process, last: deque[str], is_progress: Callable[[str], bool]) -> int:
    assert process.stdout is not None
    async for raw in process.stdout:
        line = raw.decode(errors="replace").rstrip()
        if not is_progress(line):
            last.append(line)
    return await process.wait()
