"""Temporal servers with other limits: short histories, and executions that are deleted at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from holdfast.errors import TemporalUnavailable
from holdfast.stack import server
from holdfast.stack.binary import find_server
from tests.support.lab import eventually
from tests.support.surreal_server import free_port

EVENTS = 500
"""From this length of a history on the server suggests continue-as-new; 4,096 is its default."""


SHORT_HISTORIES = f"limit.historyCount.suggestContinueAsNew={EVENTS}"
QUICK_DELETION = (
    'history.transferProcessorUpdateAckInterval="100ms"',
    'history.visibilityProcessorUpdateAckInterval="100ms"',
)
"""An ended execution is deleted when its earlier tasks are known to be done, which takes a minute by default."""


def short_history_server(folder: Path) -> AbstractAsyncContextManager[str]:
    """Starts a server that suggests continue-as-new early, so that runs of a dozen turns have several executions."""
    return configured_server(folder, SHORT_HISTORIES)


@asynccontextmanager
async def configured_server(folder: Path, *values: str) -> AsyncIterator[str]:
    """Starts a server with the flags of the stack and these dynamic settings, and yields its address."""
    binary = await find_server(print)
    ports = (free_port(), free_port())
    address = f"127.0.0.1:{ports[0]}"
    command = [str(binary.path), "server", "start-dev", *server._flags("default", ports)]
    command += [word for value in values for word in ("--dynamic-config-value", value)]
    with (folder / "temporal.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log, cwd=folder)

    async def is_ready() -> bool:
        assert process.returncode is None, (folder / "temporal.log").read_text()
        try:
            await server.prepare_namespace(await server.connect(address, "default"))
        except TemporalUnavailable:
            return False
        return True

    try:
        await eventually(is_ready)
        yield address
    finally:
        process.terminate()
        await process.wait()
