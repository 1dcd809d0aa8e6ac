"""The MCP servers of this process: each is connected once, when it is first needed, and again after it has ended."""

from __future__ import annotations

import asyncio
import atexit
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from holdfast._util.logger import get_logger
from holdfast._util.loop_thread import LoopThread
from holdfast.agents.mcp_server import MCPServer
from holdfast.errors import MCPServerUnavailable
from holdfast.tools.mcp.calls import ListedTool, NotSent, ServerCall
from holdfast.types import ToolResult

if TYPE_CHECKING:
    from holdfast.tools.mcp.connection import ServerConnection

log = get_logger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds before a server that has ended is connected again; it doubles
STABLE_AFTER = 30.0  # seconds that a connection must last for the pauses to start over
ATTEMPTS = 4  # of a call that no connection has sent
EXIT_TIMEOUT = 10.0  # seconds for the end of all servers

_guard = threading.Lock()
_servers: Servers | None = None


def servers() -> Servers:
    """Returns the servers of this process."""
    global _servers  # noqa: PLW0603 - one per process is what this is
    with _guard:
        if _servers is None:
            _servers = Servers()
            atexit.register(close_servers)
        return _servers


def close_servers() -> None:
    """Ends the servers of this process that are processes, and their connections; it may block for some seconds."""
    if (old := _taken()) is not None:
        old.close()


async def leave_servers() -> None:
    """Does the same without blocking the event loop, and without a new thread, which an ending process cannot start."""
    if (old := _taken()) is not None:
        await old.leave()


def _taken() -> Servers | None:
    global _servers
    with _guard:
        old, _servers = _servers, None
    return old


class Servers:
    """Connects servers in a thread of its own, so that neither the program's event loop nor its end concerns them."""

    def __init__(self) -> None:
        self._thread = LoopThread("mcp")
        self._known: dict[object, _Server] = {}

    async def tools(self, server: MCPServer) -> list[ListedTool]:
        """Returns the tools that a server lists now.

        Raises:
            MCPServerUnavailable: it cannot be started or reached, or does not answer.
        """
        return await self._thread.call(self._server(server).tools())

    async def call(self, server: MCPServer, call: ServerCall) -> ToolResult:
        """Makes a call; see `ServerConnection.call`.

        Raises:
            MCPServerUnavailable: the server cannot be started or reached, so that the call was not made.
            ToolError: the server refuses the call.
            CallLost: nobody knows whether the call took effect.
            CallNotHeld: the call that was to be continued is not open here.
        """
        return await self._thread.call(self._server(server).call(call))

    def close(self) -> None:
        """Ends all of them."""
        with suppress(TimeoutError):
            self._thread.submit(self._close()).result(EXIT_TIMEOUT)
        self._thread.end(EXIT_TIMEOUT)

    async def leave(self) -> None:
        """Ends all of them."""
        with suppress(TimeoutError):
            async with asyncio.timeout(EXIT_TIMEOUT):
                await self._thread.call(self._close())
        self._thread.end(EXIT_TIMEOUT)

    def _server(self, server: MCPServer) -> _Server:
        return self._known.setdefault(server.key, _Server(server))

    async def _close(self) -> None:
        await asyncio.gather(*(server.close() for server in self._known.values()))


class _Server:
    """A server, connected or not; used in the thread of all of them."""

    def __init__(self, server: MCPServer) -> None:
        self._server = server
        self._connection: ServerConnection | None = None
        self._connecting: asyncio.Task[ServerConnection] | None = None
        self._connected_at = 0.0
        self._pause = 0.0

    async def tools(self) -> list[ListedTool]:
        for _ in range(ATTEMPTS - 1):
            try:
                return await (await self._connect()).tools()
            except NotSent:
                continue
        return await (await self._connect()).tools()

    async def call(self, call: ServerCall) -> ToolResult:
        for _ in range(ATTEMPTS):
            connection = await self._connect()
            try:
                return await connection.call(call)
            except NotSent as error:
                reason = str(error)
        raise MCPServerUnavailable(f"{reason}; the call was not made")

    async def close(self) -> None:
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait([self._connecting])
        if self._connection is not None:
            await self._connection.close()

    async def _connect(self) -> ServerConnection:
        """Returns the connection; one that is being made is shared, and made although its caller gives up."""
        if self._connection is not None and not self._connection.has_ended:
            return self._connection
        if self._connecting is None or self._connecting.done():
            self._connecting = asyncio.create_task(self._connected())
            self._connecting.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(self._connecting)

    async def _connected(self) -> ServerConnection:
        connection_of = _connections(self._server.name)
        now = asyncio.get_running_loop().time()
        if self._connection is not None:
            log.warning("an MCP server has ended and is connected again", server=self._server.name, pause=self._pause)
            if now - self._connected_at > STABLE_AFTER:
                self._pause = 0.0
            await self._connection.close()
            self._connection = None
        await asyncio.sleep(self._pause)
        self._pause = min(max(2 * self._pause, FIRST_PAUSE), LONGEST_PAUSE)
        connection = connection_of(self._server.name, self._server.connection())
        try:
            await connection.ready()
        except BaseException:
            await connection.close()
            raise
        self._connection, self._connected_at = connection, asyncio.get_running_loop().time()
        return connection


def _connections(server: str) -> type[ServerConnection]:
    """Returns the class of connections, whose module needs the MCP SDK.

    Raises:
        MCPServerUnavailable: the SDK is not installed.
    """
    try:
        from holdfast.tools.mcp.connection import ServerConnection  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("mcp", "mcp_types"):
            raise
        raise MCPServerUnavailable(
            f"MCP server {server!r} needs the MCP SDK, which is not installed: pip install 'holdfast-agents[mcp]'"
        ) from None
    return ServerConnection
