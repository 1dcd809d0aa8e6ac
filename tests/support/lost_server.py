"""A program of a user whose Temporal server is lost: argument 1 is the server's address. It prints nothing itself."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys

import holdfast
from tests.support.proxy import Proxy

PATIENCE = 4.0  # seconds; the SDK logs that it retries after some two


async def main(address: str) -> None:
    """Connects, loses the server, and asks it something."""
    proxy = Proxy(address)
    async with holdfast.connect(holdfast.Settings(temporal_address=await proxy.start())) as client:
        proxy.cut()
        with contextlib.suppress(holdfast.TemporalUnavailable, TimeoutError):
            async with asyncio.timeout(PATIENCE):
                async for run in client.list():
                    print(run.run_id, file=sys.stderr)
        os._exit(0)  # the connections that were cut would delay the end


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
