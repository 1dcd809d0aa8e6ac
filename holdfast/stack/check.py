"""Check of a worker's settings, modules and ports in a process of its own, before a running worker is stopped."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from holdfast.errors import UsageError
from holdfast.stack import process

TIMEOUT = 60.0  # seconds; a check takes one to two, and modules of users may do more when they are imported


async def check_worker(variables: Mapping[str, str], log: Path | None = None, replaces: int | None = None) -> None:
    """Checks that a worker could start with these environment variables, in the current folder.

    Args:
        variables: its environment.
        log: what the modules print, and the traceback of an error in them, is added to it; `None` means that it goes to
            standard error.
        replaces: the pid of the worker whose ports the new one takes over; `None` means that there is none.

    Raises:
        UsageError: it could not; the message says why.
    """
    options = [] if replaces is None else ["--replaces", str(replaces)]
    with _opened(log) as errors:
        started = await asyncio.create_subprocess_exec(
            *process.module_command("holdfast.worker", "--check", *options),
            stdin=DEVNULL, stdout=PIPE, stderr=errors, env=variables, start_new_session=True,
        )  # fmt: skip
    try:
        async with asyncio.timeout(TIMEOUT):
            said, _ = await started.communicate()
    except TimeoutError:
        raise UsageError(
            f"the modules of HOLDFAST_AGENTS={variables.get('HOLDFAST_AGENTS', '')!r} "
            f"cannot be imported within {TIMEOUT:.0f} s"
        ) from None
    finally:
        await _end(started)
    if started.returncode:
        raise UsageError(said.decode(errors="replace").strip() or "the worker cannot start; its log says why")


@contextmanager
def _opened(log: Path | None) -> Iterator[BinaryIO | None]:
    if log is None:
        yield None
        return
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with log.open("ab") as stream:
        yield stream


async def _end(started: Process) -> None:
    if started.returncode is None:  # timed out or cancelled
        with suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        await started.wait()
