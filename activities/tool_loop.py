"""Event loops for async tools."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import sys
import threading
import time
from asyncio import AbstractEventLoop
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from typing_extensions import override

from holdfast._util.logger import get_logger
from holdfast.activities.tool_threads import CANCEL_GRACE, UnfinishedCall
from holdfast.agents.cancellation import Cancellation

T = TypeVar("T")

log = get_logger(__name__)

PING_INTERVAL = 0.5  # seconds between two checks that the loop answers
BLOCKED_AFTER = 1.0  # seconds without an answer, after which a tool is reported as blocking
LOOP_THREADS = 64  # of the loop's own executor: for `asyncio.to_thread` and name lookups of tools
MAX_REPLACED = 64  # loops that tools blocked for good; after that, async tools wait for the last one


class Job(Generic[T]):
    """One call in an event loop, observed from another one."""

    def __init__(
        self,
        tool: str,
        loop: AbstractEventLoop,
        work: Callable[[], Awaitable[T]],
        cancellation: Cancellation | None = None,
    ) -> None:
        self._cancellation = cancellation
        self.tool = tool
        self.loop = loop
        self.outcome: concurrent.futures.Future[T] = concurrent.futures.Future()
        self._work = work
        self._task: asyncio.Task[None] | None = None
        self._is_cancelled = False
        loop.call_soon_threadsafe(self._begin, context=contextvars.copy_context())

    def cancel(self) -> None:
        """Cancels the call; returns at once."""
        if self._cancellation is not None:
            self._cancellation.cancel()
        self.loop.call_soon_threadsafe(self._cancel)

    def _begin(self) -> None:
        self._task = self.loop.create_task(self._do(), name=self.tool)
        self._task.add_done_callback(self._end)
        if self._is_cancelled:
            self._task.cancel()

    def _cancel(self) -> None:
        self._is_cancelled = True
        if self._task:
            self._task.cancel()

    async def _do(self) -> None:
        try:
            self.outcome.set_result(await self._work())
        except asyncio.CancelledError as error:
            if self._is_cancelled or self._is_lost():
                raise
            self.outcome.set_exception(_own_cancel(error))
        except BaseException as error:  # noqa: BLE001 - it is raised where the call was made
            self.outcome.set_exception(error)

    def _is_lost(self) -> bool:
        """Whether a cancel that nobody here has asked for ends the call: its loop belongs to others, and ends."""
        return False

    def _end(self, _: asyncio.Task[None]) -> None:
        if not self.outcome.done():
            self.outcome.set_exception(asyncio.CancelledError())


class CallerLoop:
    """Runs async functions in the event loop of the caller, which they can block."""

    async def run(
        self,
        tool: str,
        work: Callable[[], Awaitable[T]],
        timeout: float,
        cancellation: Cancellation | None = None,
    ) -> T:
        """Runs an async function and returns its result.

        Args:
            tool: name of the tool, for messages.
            work: sees the caller's context variables.
            timeout: maximum seconds; then it is cancelled, as it is if the caller is cancelled.
            cancellation: is told of that.

        Raises:
            UnfinishedCall: it did not end in time.
            Exception: whatever the function raises.
        """
        return await self._result(Job(tool, asyncio.get_running_loop(), work, cancellation), timeout)

    def blocked_by(self, _loop: AbstractEventLoop) -> str | None:
        """Returns the name of the tool that blocks a loop; `None` if none does."""
        return None

    async def _result(self, job: Job[T], timeout: float) -> T:
        done = asyncio.wrap_future(job.outcome)
        try:
            finished, _ = await asyncio.wait([done], timeout=timeout)
        except asyncio.CancelledError:
            if await self._has_ended_after_cancel(job, done):
                return done.result()
            raise
        if finished or await self._has_ended_after_cancel(job, done):
            return done.result()
        log.warning("a tool did not end within its timeout", tool=job.tool, timeout=timeout)
        raise UnfinishedCall(f"the tool did not end within {timeout:g} s{self._cause(job)}")

    async def _has_ended_after_cancel(self, job: Job[T], done: asyncio.Future[T]) -> bool:
        """Cancels a call, waits for its clean-up, and returns whether it has a result or an error of its own."""
        job.cancel()
        if self.blocked_by(job.loop) is None:
            await asyncio.wait([done], timeout=CANCEL_GRACE)
        if not done.done():
            log.warning("a tool was cancelled and does not end", tool=job.tool)
            done.cancel()
            return False
        return not isinstance(done.exception(), asyncio.CancelledError)

    def _cause(self, job: Job[T]) -> str:
        culprit = self.blocked_by(job.loop)
        if culprit is None:
            return ""
        whose = "it blocks its event loop" if culprit == job.tool else f"the tool {culprit!r} blocks the event loop"
        return f": {whose}, so it could not be stopped and may still be running"


class ToolLoop(CallerLoop):
    """Runs async functions in the event loop of a thread, so that one that blocks holds up only others like it.

    If a call that blocks exceeds its timeout, later calls get a new loop.
    """

    def __init__(self) -> None:
        self._thread: _LoopThread | None = None
        self._in_flight: Counter[str] = Counter()
        self._replaced = 0
        self._watch: asyncio.Task[None] | None = None
        self._blocked: dict[AbstractEventLoop, str] = {}

    @override
    async def run(
        self,
        tool: str,
        work: Callable[[], Awaitable[T]],
        timeout: float,
        cancellation: Cancellation | None = None,
    ) -> T:
        if self._thread is None:
            self._thread = _LoopThread()
        thread = self._thread
        self._in_flight[tool] += 1
        if self._watch is None:
            self._watch = asyncio.create_task(self._keep_watch())
        try:
            return await self._result(Job(tool, thread.loop, work, cancellation), timeout)
        except UnfinishedCall:
            self._replace_if_blocked(thread)
            raise
        finally:
            self._in_flight[tool] -= 1

    @override
    def blocked_by(self, loop: AbstractEventLoop) -> str | None:
        return self._blocked.get(loop)

    async def _keep_watch(self) -> None:
        """Reports tools that block the loop, while calls are in flight."""
        try:
            while self._in_flight.total() and self._thread:
                thread = self._thread
                if not await thread.answers(BLOCKED_AFTER):
                    await self._observe_blocked(thread)
                await asyncio.sleep(PING_INTERVAL)
        finally:
            self._watch = None

    async def _observe_blocked(self, thread: _LoopThread) -> None:
        running, place = thread.current()
        if running is None:
            return
        tool = running if self._in_flight[running] else " or ".join(+self._in_flight)  # a task that a tool has made
        began = time.monotonic()
        self._blocked[thread.loop] = tool
        log.warning(
            "a tool blocks the event loop of all async tools; await instead, or make it a plain `def`",
            tool=tool,
            at=place,
        )
        while not (is_free := await thread.answers(PING_INTERVAL)) and self._thread is thread:
            pass
        if is_free:
            del self._blocked[thread.loop]
            seconds = round(time.monotonic() - began + BLOCKED_AFTER, 1)
            log.info("the event loop of async tools is free again", tool=tool, blocked_seconds=seconds)

    def _replace_if_blocked(self, thread: _LoopThread) -> None:
        if self._thread is thread and self.blocked_by(thread.loop) and self._replaced < MAX_REPLACED:
            log.warning("a tool keeps blocking the event loop; new calls of async tools get another one")
            self._thread = None
            self._replaced += 1


class _LoopThread:
    """A thread that runs an event loop until the process ends."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.loop.set_default_executor(ThreadPoolExecutor(LOOP_THREADS, thread_name_prefix="tool-io"))
        self._thread = threading.Thread(target=self._serve, name="async-tools", daemon=True)
        self._thread.start()

    async def answers(self, timeout: float) -> bool:
        """Whether the loop runs something within a time."""
        pong: concurrent.futures.Future[None] = concurrent.futures.Future()
        self.loop.call_soon_threadsafe(pong.set_result, None)
        done, _ = await asyncio.wait([asyncio.wrap_future(pong)], timeout=timeout)
        return bool(done)  # a late pong is left alone: cancelled, it could not be set

    def current(self) -> tuple[str | None, str]:
        """Returns the name of the running task, and the file and line where it is; `None` if none runs."""
        task = asyncio.current_task(self.loop)
        frame = sys._current_frames().get(self._thread.ident or 0)  # noqa: SLF001 - documented for debugging
        place = f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else "unknown"
        return (task.get_name() if task else None), place

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()


def _own_cancel(error: asyncio.CancelledError) -> RuntimeError:
    """Returns the error of a tool that raised CancelledError although nobody had cancelled it."""
    raised = RuntimeError("the tool raised CancelledError")
    raised.__cause__ = error
    return raised
