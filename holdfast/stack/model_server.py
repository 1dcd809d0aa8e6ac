"""Scripted model server of the stack, used if no model is configured."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from holdfast.errors import Unavailable
from holdfast.stack import process
from holdfast.stack.part_locks import PartLock
from holdfast.stack.serving import Serving, shown_files
from holdfast.stack.sockets import LOOPBACK, answers, is_served_by
from holdfast.stack.state import Part, log_path

MODULE = "holdfast.stack.model_process"
START_TIMEOUT = 15.0  # seconds; a start takes half a second
POLL_INTERVAL = 0.05  # seconds between attempts to reach it


def base_url(part: Part) -> str:
    """Returns the URL of the server for OPENAI_BASE_URL."""
    return f"http://{part.address}/v1"


def outdated(home: Path, part: Part) -> str | None:
    """Returns why a running server does not answer as the code on disk would; `None` if it does."""
    program = process.module_command(MODULE)[1:]  # without the interpreter, which the worker's settings are about
    if part.command[1 : 1 + len(program)] != program:
        return "another version or installation of Holdfast has started it"
    serving = Serving.read(home, part)
    edited = serving.changed_files() if serving else []
    return f"its code has changed: {shown_files(edited)}" if edited else None


def spawn(home: Path, port: int, lock: PartLock) -> Part:
    """Starts the server in the background."""
    log = log_path(home, "model")
    program = process.module_command(MODULE, str(home), "--host", LOOPBACK, "--port", str(port))
    pid = process.spawn(program, log, {**os.environ, **lock.variables}, folder=home, keep=[lock.descriptor])
    part = Part.started("model", pid, log, command=program, folder=home, address=f"{LOOPBACK}:{port}")
    lock.record(part.model_dump(mode="json"))
    return part


async def ready(part: Part, log_start: int) -> None:
    """Waits until the server accepts connections.

    Raises:
        Unavailable: it ended, or did not respond in time; the message contains the end of its log.
    """
    assert part.address is not None
    loop = asyncio.get_running_loop()
    deadline = loop.time() + START_TIMEOUT
    port = int(part.address.rpartition(":")[2])
    while not (answers(port) and is_served_by(part.pid, port)):
        if not part.is_alive or loop.time() >= deadline:
            raise Unavailable(
                f"the scripted model server did not start; its log, {part.log}, ends:\n"
                f"{process.tail(part.log, log_start)}"
            )
        await asyncio.sleep(POLL_INTERVAL)
