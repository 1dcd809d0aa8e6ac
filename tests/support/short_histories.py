"""A Temporal server that suggests continue-as-new early, so that runs of a dozen turns have several executions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from holdfast.errors import TemporalUnavailable
from holdfast.stack import server
from holdfast.stack.binary import find_server
from tests.support.lab import eventually
from tests.support.surreal_server import free_port

EVENTS = 500
"""From this length of a history on the server suggests continue-as-new; 4,096 is its default."""


@asynccontextmanager
async def short_history_server(folder: Path) -> AsyncIterator[str]:
    """Starts the server with the flags of the stack, and yields its address."""
    binary = await find_server(print)
    ports = (free_port(), free_port())
    address = f"127.0.0.1:{ports[0]}"
    command = [str(binary.path), "server", "start-dev", *server._flags("default", ports)]
    command += ["--dynamic-config-value", f"limit.historyCount.suggestContinueAsNew={EVENTS}"]
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
