"""One connection to an MCP server, which a single task enters, uses and leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import Any, Generic, TypeVar

import httpx2
import mcp_types
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

from holdfast._util.logger import get_logger
from holdfast.agents.mcp_server import Connection
from holdfast.agents.tool import CallLost
from holdfast.errors import MCPServerUnavailable
from holdfast.sandbox.attached import argv
from holdfast.tools.mcp.calls import ListedTool, NotSent, ServerCall
from holdfast.tools.mcp.http_errors import ErrorsAsAnswers
from holdfast.tools.mcp.protocol import reason_of
from holdfast.tools.mcp.server_calls import ServerCalls
from holdfast.tools.mcp.standard_error import StandardError
from holdfast.types import ToolResult

T = TypeVar("T")

log = get_logger(__name__)

CONNECT_TIMEOUT = 30.0  # seconds for a connection over HTTP
CLOSE_TIMEOUT = 8.0  # seconds; the SDK gives a process 2 s to end by itself, and 2 s after SIGTERM
LAST_WORDS = 0.5  # seconds until what a server wrote at its end has been read


class ServerConnection:
    """A connected server. Calls reach it through a queue, and run side by side.

    Args:
        name: of the server.
        how: how it is started or reached.
    """

    def __init__(self, name: str, how: Connection) -> None:
        loop = asyncio.get_running_loop()
        self._name = name
        self._how = how
        self._work: asyncio.Queue[Callable[[Client], Awaitable[None]] | None] = asyncio.Queue()
        self._ready: asyncio.Future[None] = loop.create_future()
        self._errors = StandardError(name, self._leave)
        self._calls = ServerCalls(name)
        self._is_late = False
        self.has_ended = False
        self._task = loop.create_task(self._live(), name=f"MCP server {name}")

    async def ready(self) -> None:
        """Waits until the server has answered.

        Raises:
            MCPServerUnavailable: it cannot be started or reached, or does not answer in time.
        """
        await asyncio.shield(self._ready)

    async def tools(self) -> list[ListedTool]:
        """Returns the server's tools as it lists them now.

        Raises:
            MCPServerUnavailable: it does not list them.
        """
        ended = MCPServerUnavailable(f"MCP server {self._name!r} ended while it was asked")
        return await self._done(self._calls.tools, ended)

    async def call(self, call: ServerCall) -> ToolResult:
        """Makes a call, or continues one with an answer.

        Returns:
            The result; its `elicitation` has what the server asks before it has one.

        Raises:
            ToolError: the server refuses the call.
            NotSent: the server has certainly not received it.
            CallLost: the server has ended or does not answer, and nobody knows whether the call took effect.
            CallNotHeld: the call that was to be continued is not open here.
        """
        lost = CallLost(f"MCP server {self._name!r} ended during the call")
        try:
            return await self._done(lambda client: self._calls.perform(client, call), lost)
        except (NotSent, CallLost):
            self._leave()
            raise

    async def close(self) -> None:
        """Leaves the server, and ends it if it is a process."""
        self._leave()
        done, _ = await asyncio.wait([self._task], timeout=CLOSE_TIMEOUT)
        if not done:
            log.warning("an MCP server does not end", server=self._name)
            self._task.cancel()

    def _leave(self) -> None:
        self.has_ended = True
        self._work.put_nowait(None)

    async def _done(self, work: Callable[[Client], Awaitable[T]], otherwise: Exception) -> T:
        """Does something in the task of the connection, and returns its result.

        Raises:
            NotSent: the connection has ended before it began.
            Exception: `otherwise`, if the connection ends before it is done; or whatever the work raises.
        """
        if self.has_ended:
            raise NotSent(f"MCP server {self._name!r} has ended")
        job = _Job(work, otherwise)
        self._work.put_nowait(job.run)
        try:
            waiting: list[asyncio.Future[Any]] = [job.result, self._task]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await job.cancel()
            raise
        if not job.result.done():
            job.result.cancel()
            raise otherwise if job.task else NotSent(f"MCP server {self._name!r} has ended")
        return job.result.result()

    async def _live(self) -> None:
        """Connects, serves the queue and disconnects: the one task that enters and leaves the SDK's client."""
        watch = asyncio.get_running_loop().call_later(self._how.start_timeout, self._give_up)
        try:
            async with AsyncExitStack() as parts:
                client = await self._connected(parts)
                watch.cancel()
                self._ready.set_result(None)
                await self._serve(client)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - told to those who wait for the server
            if self._ready.done():
                log.warning("the connection to an MCP server broke", server=self._name, reason=reason_of(error))
            else:
                self._ready.set_exception(await self._unavailable(error))
                self._ready.exception()  # nobody may wait any more
        finally:
            watch.cancel()
            self.has_ended = True

    def _give_up(self) -> None:
        self._is_late = True
        self._task.cancel()

    async def _serve(self, client: Client) -> None:
        running: set[asyncio.Future[None]] = set()
        try:
            while (work := await self._work.get()) is not None:
                task = asyncio.ensure_future(work(client))
                running.add(task)
                task.add_done_callback(running.discard)
        finally:
            left: list[asyncio.Future[Any]] = [*running, *self._calls.running()]
            for each in left:
                each.cancel()
            if left:
                await asyncio.wait(left, timeout=CLOSE_TIMEOUT)

    async def _connected(self, parts: AsyncExitStack) -> Client:
        how = self._how
        transport: Any
        if how.command is not None:
            program, args = argv(how.command, how.args)
            parameters = StdioServerParameters(command=program, args=args, env=how.env, cwd=how.cwd)
            errors = await self._errors.opened()
            parts.callback(errors.close)
            transport = stdio_client(parameters, errors)
        else:
            assert how.url is not None, "a server has either a command or a URL"
            http = httpx2.AsyncClient(
                headers=how.headers,
                timeout=httpx2.Timeout(CONNECT_TIMEOUT, read=None),  # each call has a time limit of its own
                transport=ErrorsAsAnswers(),
            )
            await parts.enter_async_context(http)
            transport = streamable_http_client(how.url, http_client=http)
        client = Client(
            transport,
            mode=how.protocol,
            elicitation_callback=self._calls.elicit,
            client_info=mcp_types.Implementation(name="holdfast", version="1"),
            cache=None,
        )
        await parts.enter_async_context(client)
        if how.command is not None:
            errors.close()  # now only the server has it
        return client

    async def _unavailable(self, error: BaseException) -> MCPServerUnavailable:
        if self._how.command is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORDS):
                    await self._errors.closed.wait()
        reason = f"no answer within {self._how.start_timeout:g} s" if self._is_late else reason_of(error)
        place = f"`{self._how.command}`" if self._how.command is not None else "its URL"
        said = self._errors.tail
        last = f"; it wrote:\n{said}" if said else ""
        return MCPServerUnavailable(f"MCP server {self._name!r} ({place}) is unavailable: {reason}{last}")


class _Job(Generic[T]):
    """Work in the task of a connection, whose result is awaited elsewhere."""

    def __init__(self, work: Callable[[Client], Awaitable[T]], otherwise: Exception) -> None:
        self.result: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.task: asyncio.Task[Any] | None = None
        self._work = work
        self._otherwise = otherwise

    async def run(self, client: Client) -> None:
        self.task = asyncio.current_task()
        try:
            value = await self._work(client)
        except asyncio.CancelledError:
            self._fail(self._otherwise)
            raise
        except Exception as error:  # noqa: BLE001 - it is raised where the result is awaited
            self._fail(error)
        else:
            if not self.result.done():
                self.result.set_result(value)

    async def cancel(self) -> None:
        """Cancels the work, and waits until the server has been told."""
        self.result.cancel()
        if self.task is not None and not self.task.done():
            self.task.cancel()
            await asyncio.wait([self.task], timeout=CLOSE_TIMEOUT)

    def _fail(self, error: Exception) -> None:
        if not self.result.done():
            self.result.set_exception(error)
