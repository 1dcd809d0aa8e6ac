"""Threads for tools that block."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from holdfast._util.logger import get_logger
from holdfast.agents.cancellation import Cancellation
from holdfast.errors import HoldfastError

T = TypeVar("T")

log = get_logger(__name__)

MAX_LOST = 256  # threads that never came back, before calls are refused: each costs some 30 KB until the worker ends
CANCEL_GRACE = 5.0  # seconds for the clean-up of a tool that was cancelled; less than TOOL_TIMEOUT_GRACE
MAX_NAMED = 5  # tools in one message
NOTABLE_WAIT = 1.0  # seconds; a shorter wait for a thread is not worth a word


class UnfinishedCall(HoldfastError):
    """A tool call has no result, or was not made; the message is for the model."""


class ToolThreads:
    """A pool of threads, in which a call that never ends costs a thread but holds up no other call.

    A thread cannot be stopped. If a call exceeds its timeout or is cancelled, its thread is lost until the call ends,
    and another one takes its place.

    Args:
        name: of the threads.
        calls: maximum number of calls at the same time; further ones wait.
        max_lost: maximum number of lost threads; with more, calls are refused.
    """

    def __init__(self, name: str, calls: int, max_lost: int = MAX_LOST) -> None:
        self._pool = ThreadPoolExecutor(calls + max_lost, thread_name_prefix=name)
        self._calls = calls
        self._max_lost = max_lost
        self._free = asyncio.Semaphore(calls)
        self._running: Counter[str] = Counter()
        self._lost: Counter[str] = Counter()
        self._guard = threading.Lock()  # lost calls end in their threads

    @property
    def lost(self) -> int:
        """Number of threads whose call was given up and has not ended."""
        with self._guard:
            return self._lost.total()

    async def run(
        self,
        tool: str,
        function: Callable[[], T],
        timeout: float,
        begin: Callable[[], Awaitable[None]] | None = None,
        cancellation: Cancellation | None = None,
    ) -> T:
        """Calls a function in a thread and returns its result.

        Args:
            tool: name of the tool, for messages.
            function: sees the caller's context variables.
            timeout: maximum seconds, including the wait for a thread.
            begin: awaited when a thread is free; the function is not called if it raises.
            cancellation: is told if the call is cancelled or exceeds its timeout; a function that observes it gets some
                seconds to end by itself.

        Raises:
            UnfinishedCall: it did not end in time, or no thread was free.
            Exception: whatever the function raises.
        """
        began = time.monotonic()
        await self._wait_for_thread(tool, timeout)
        waited = time.monotonic() - began
        self._running[tool] += 1
        try:
            if begin:
                await begin()
            future = self._pool.submit(contextvars.copy_context().run, function)
            return await self._result(tool, future, timeout, waited, cancellation)
        finally:
            self._running[tool] -= 1
            self._free.release()

    async def _wait_for_thread(self, tool: str, timeout: float) -> None:
        if self.lost >= self._max_lost:
            log.error("no thread is left for tools; restart the worker", tool=tool, lost=_listed(self._lost))
            raise UnfinishedCall(
                f"the tool was not called: {self.lost} earlier calls never ended ({_listed(self._lost)}), "
                "and the worker has no thread left; it must be restarted"
            )
        if self._free.locked():
            log.warning("a tool call waits for a free thread", tool=tool, running=_listed(self._running))
        try:
            async with asyncio.timeout(timeout):
                await self._free.acquire()
        except TimeoutError:
            log.warning("a tool call found no free thread", tool=tool, running=_listed(self._running))
            raise UnfinishedCall(
                f"the tool was not called: none of the worker's {self._calls} threads became free within "
                f"{timeout:g} s; they run {_listed(self._running)}"
            ) from None

    async def _result(
        self, tool: str, future: Future[T], timeout: float, waited: float, cancellation: Cancellation | None
    ) -> T:
        done = asyncio.wrap_future(future)
        try:
            finished, _ = await asyncio.wait([done], timeout=max(timeout - waited, 0))
        except asyncio.CancelledError:
            if await self._has_ended_after_cancel(tool, future, done, cancellation):
                return done.result()
            raise
        if finished or await self._has_ended_after_cancel(tool, future, done, cancellation):
            return done.result()
        wait = f", of which it waited {waited:.0f} s for a free thread" if waited > NOTABLE_WAIT else ""
        raise UnfinishedCall(f"the tool did not end within {timeout:g} s{wait}; it may still be running")

    async def _has_ended_after_cancel(
        self, tool: str, future: Future[T], done: asyncio.Future[T], cancellation: Cancellation | None
    ) -> bool:
        """Tells a function that it should end, and returns whether it has; only one that listens gets time to."""
        try:
            if cancellation is not None:
                cancellation.cancel()
                if cancellation.is_observed:
                    await asyncio.wait([done], timeout=CANCEL_GRACE)
        finally:
            if not done.done():
                self._lose(tool, future, done)
        return not done.cancelled()

    def _lose(self, tool: str, future: Future[T], done: asyncio.Future[T]) -> None:
        done.cancel()
        if future.done():
            return
        with self._guard:
            self._lost[tool] += 1
        log.warning("a tool was given up and still keeps a thread busy", tool=tool, busy_threads=self.lost)
        future.add_done_callback(lambda _: self._regain(tool))

    def _regain(self, tool: str) -> None:
        with self._guard:
            self._lost[tool] -= 1
        log.info("a tool that was given up has ended; its thread is free again", tool=tool, busy_threads=self.lost)


def _listed(counts: Counter[str]) -> str:
    """Returns the tools with the most calls, each with their number."""
    calls = [f"{tool} ({number})" for tool, number in Counter(dict(counts)).most_common(MAX_NAMED) if number > 0]
    return ", ".join(calls) or "nothing"
