"""A process whose tools close its standard streams; run by `tests.unit.test_streams`."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from pathlib import Path

from holdfast import ToolContext, tool
from holdfast._util.logs import configure_logging
from holdfast._util.streams import StandardStreams
from holdfast.activities.tool_loop import ToolLoop
from holdfast.activities.tool_runner import ToolRunner

CONTEXT = ToolContext(run_id="r1", call_id="c1", agent="a", turn=1, attempt=1, workspace=Path("/nowhere"))


@tool
def close_descriptors() -> str:
    """Closes the descriptors, and a connection gets their numbers."""
    for number in (0, 1, 2):
        os.close(number)
    sent, received = socket.socketpair()
    print("printed while closed")
    logging.getLogger("any").warning("logged while closed")
    os.write(1, b"")
    received.setblocking(False)
    try:
        received.recv(1)
    except BlockingIOError:
        reached = "nothing"
    else:
        reached = "something"
    numbers = f"{sent.fileno()} {received.fileno()}"
    sent.close()
    received.close()
    return f"{reached} has reached connection {numbers}"


@tool
async def close_streams() -> str:
    """Closes Python's streams."""
    sys.stdout.close()
    sys.stderr.close()
    return "closed"


async def main() -> None:
    """Calls the tools and writes afterwards."""
    configure_logging("INFO", "console", stream=StandardStreams.protect().writer(2))
    runner = ToolRunner(ToolLoop())
    for each in (close_descriptors, close_streams):
        print((await runner.call(each, "{}", CONTEXT)).content)
        logging.getLogger("any").warning("logged after %s", each.spec.name)
        os.write(1, b"written to 1\n")
        os.write(2, b"written to 2\n")


if __name__ == "__main__":
    asyncio.run(main())
