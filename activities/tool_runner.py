"""Calls of tools in threads and event loops where they cannot hold up the worker."""

from __future__ import annotations

import asyncio
import inspect
from asyncio import AbstractEventLoop
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Protocol

from typing_extensions import override

from holdfast._util.logger import get_logger
from holdfast._util.streams import StandardStreams
from holdfast.activities.tool_loop import CallerLoop
from holdfast.activities.tool_threads import ToolThreads, UnfinishedCall
from holdfast.agents.tool import Tool, ToolContext
from holdfast.agents.tool_context import current_call
from holdfast.ports.retrieval import MemoryMatch, TextMemoryProtocol
from holdfast.types import ToolResult

log = get_logger(__name__)

TOOL_THREADS = 64  # calls of users' blocking tools at the same time
SHIPPED_THREADS = 16  # calls of the shipped file tools at the same time; each takes seconds at most
MAX_QUEUED = 3_600.0  # seconds that a call waits for others of its tool; less than options.CONCURRENCY_WAIT


class BeginGuard(Protocol):
    """Decides whether a call may begin."""

    async def make(self) -> None:
        """Raises an error if the call may not begin; awaited when nothing else keeps it from beginning."""

    def check(self) -> None:
        """Raises an error if `make` was too long ago; called where the call runs, as its first act."""


class ToolRunner:
    """Calls tools: blocking ones in threads, async ones in an event loop, and shipped ones apart from users' tools.

    Args:
        loop: where users' async tools run. In a loop apart from the worker's, one that blocks does not stop the
            worker's heartbeats and model calls.
    """

    def __init__(self, loop: CallerLoop) -> None:
        self._threads = ToolThreads("tool", TOOL_THREADS)
        self._shipped_threads = ToolThreads("shipped-tool", SHIPPED_THREADS)
        self._caller_loop = CallerLoop()
        self._limits: dict[str, asyncio.Semaphore] = {}
        """Of the tools that limit their calls, by activity type."""
        self._loop = loop

    async def call(
        self, tool: Tool, arguments: str, context: ToolContext, claim: BeginGuard | None = None
    ) -> ToolResult:
        """Calls a tool with a model's arguments and returns the result.

        Args:
            tool: the tool.
            arguments: the JSON text as the model wrote it.
            context: of the call.
            claim: must allow the call right before it begins.

        Raises:
            UnfinishedCall: it did not end within its timeout, or could not be called.
            Exception: any error of the tool.
        """
        called = log.bind(tool=tool.spec.name, run_id=context.run_id, call=context.call_id)
        async with self._turn(tool):
            called.debug("tool call begins")
            try:
                return await self._call(tool, arguments, context, claim)
            finally:
                called.debug("tool call ends")

    @asynccontextmanager
    async def _turn(self, tool: Tool) -> AsyncIterator[None]:
        """Waits until the tool has fewer calls than it may have at once."""
        if tool.spec.concurrency is None:
            yield
            return
        limit = self._limits.setdefault(tool.spec.activity, asyncio.Semaphore(tool.spec.concurrency))
        try:
            async with asyncio.timeout(MAX_QUEUED):
                await limit.acquire()
        except TimeoutError:
            raise UnfinishedCall(
                f"the tool was not called: it is called {tool.spec.concurrency} times at once, and it was not its turn "
                f"within {MAX_QUEUED:g} s"
            ) from None
        try:
            yield
        finally:
            limit.release()

    async def _call(self, tool: Tool, arguments: str, context: ToolContext, claim: BeginGuard | None) -> ToolResult:
        name, timeout = tool.spec.name, tool.spec.timeout
        threads = self._shipped_threads if tool.is_shipped else self._threads
        loop = self._caller_loop if tool.is_shipped else self._loop
        if type(loop) is not CallerLoop and context.memories is not None:
            context = replace(context, memories=_WorkersMemory(context.memories, asyncio.get_running_loop()))
        if tool.is_async:
            if claim:
                await claim.make()
            return await loop.run(name, lambda: _call(tool, arguments, context, claim), timeout, context.cancellation)
        begin = claim.make if claim else None
        returned = await threads.run(
            name, lambda: _start(tool, arguments, context, claim), timeout, begin, context.cancellation
        )
        if isinstance(returned, ToolResult):
            return returned
        return await loop.run(name, lambda: tool.finish(returned, context), timeout, context.cancellation)

    async def run(self, name: str, function: Callable[[], Any], timeout: float, *, is_async: bool = False) -> Any:
        """Calls another function of a user, in a thread unless it is async, and returns what it has returned.

        Args:
            name: of the function, for messages.
            function: what it returns is awaited if need be.
            timeout: maximum seconds.
            is_async: whether it is a coroutine function, which does not block.

        Raises:
            UnfinishedCall: it did not end in time, or could not be called.
            Exception: whatever it raises.
        """
        if is_async:
            return await self._loop.run(name, function, timeout)
        returned = await self._threads.run(name, function, timeout)
        return await self._loop.run(name, lambda: returned, timeout) if inspect.isawaitable(returned) else returned


async def _call(tool: Tool, arguments: str, context: ToolContext, claim: BeginGuard | None) -> ToolResult:
    if claim:
        claim.check()
    token = current_call.set(context)
    try:
        return await tool.call(arguments, context)
    finally:
        current_call.reset(token)
        _restore_streams(tool)


def _start(tool: Tool, arguments: str, context: ToolContext, claim: BeginGuard | None) -> ToolResult | Awaitable[Any]:
    if claim:
        claim.check()
    try:
        return tool.start(arguments, context)
    finally:
        _restore_streams(tool)


def _restore_streams(tool: Tool) -> None:
    """Opens what a tool has closed, before a connection gets its number."""
    for name in StandardStreams.restore():
        log.warning("a tool has closed a stream of the worker; it is open again", tool=tool.spec.name, stream=name)


class _WorkersMemory(TextMemoryProtocol):
    """The worker's text memory, for code in other event loops."""

    def __init__(self, memories: TextMemoryProtocol, loop: AbstractEventLoop) -> None:
        self._memories = memories
        self._loop = loop

    @override
    async def add(
        self,
        namespace: str,
        text: str,
        metadata: Mapping[str, Any] | None = None,
        *,
        id: str | None = None,
        wait: bool = False,
    ) -> str:
        call = self._memories.add(namespace, text, metadata, id=id, wait=wait)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call, self._loop))

    @override
    async def search(
        self,
        query: str,
        top_k: int = 5,
        *,
        namespaces: Sequence[str],
        filter: Mapping[str, Any] | None = None,
    ) -> list[MemoryMatch]:
        call = self._memories.search(query, top_k, namespaces=namespaces, filter=filter)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call, self._loop))
