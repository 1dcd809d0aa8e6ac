"""Parts of the stack in forked processes; see `command_server`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from holdfast.stack import process
from tests.support import fork_client
from tests.support.fork_client import ForkedProcess

FORKED = ("holdfast.worker", "holdfast.stack.model_process")
"""Modules whose loading takes most of their start; the supervisor loads little, and stays as small as it is."""

_fresh = process.spawn
_command = process.module_command


def install() -> None:
    """Lets the stack start its parts in forked processes, from this process on."""
    process.spawn = spawn
    process.module_command = module_command


@contextmanager
def installed() -> Iterator[None]:
    """Does so for the length of a block."""
    install()
    try:
        yield
    finally:
        process.spawn, process.module_command = _fresh, _command


def spawn(
    command: Sequence[str], log: Path, env: Mapping[str, str], *, folder: Path | None = None, keep: Sequence[int] = ()
) -> int:
    """Starts a process as `process.spawn` does."""
    script = command[1:]  # without the interpreter
    if script[:3] not in [_command(module)[1:] for module in FORKED]:
        return _fresh(command, log, env, folder=folder, keep=keep)
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with log.open("ab") as output, Path(os.devnull).open("rb") as empty:
        streams = (empty.fileno(), output.fileno(), output.fileno())
        part = ForkedProcess(
            script, streams, folder=folder or Path.cwd(), environment=env, keep=keep, in_background=True
        )
    return part.detach()


def module_command(module: str, *arguments: str) -> list[str]:
    """Returns the command of `process.module_command`; the check of a worker is forked."""
    command = _command(module, *arguments)
    if "--check" in arguments:
        return [sys.executable, "-IS", fork_client.__file__, *command[1:]]
    return command
