"""A program of a user whose Temporal server is lost: argument 1 is the server's address. It prints nothing itself."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys

import holdfast

PATIENCE = 4.0  # seconds; the SDK logs that it retries after some two


class Proxy:
    """Connections to a server, until they are cut."""

    def __init__(self, host: str, port: int) -> None:
        self._server_address = (host, port)
        self._writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None

    async def start(self) -> str:
        """Accepts connections, and returns the address to use instead of the server's."""
        self._server = await asyncio.start_server(self._forward, "127.0.0.1", 0)
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def cut(self) -> None:
        """Ends all connections and accepts no new ones."""
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._server_address)
        await asyncio.gather(self._copy(reader, far_writer), self._copy(far_reader, writer))

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)


async def main(address: str) -> None:
    """Connects, loses the server, and asks it something."""
    host, _, port = address.rpartition(":")
    proxy = Proxy(host, int(port))
    async with holdfast.connect(holdfast.Settings(temporal_address=await proxy.start())) as client:
        proxy.cut()
        with contextlib.suppress(holdfast.TemporalUnavailable, TimeoutError):
            async with asyncio.timeout(PATIENCE):
                async for run in client.list():
                    print(run.run_id, file=sys.stderr)
        os._exit(0)  # the connections that were cut would delay the end


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
