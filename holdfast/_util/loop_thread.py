"""An event loop in a thread of its own, for work that must continue while a program's own loop is busy, or has none."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")

SLOW = 10.0
"""Seconds after which asyncio reports a callback in debug mode. It is not the program's loop that would stand still."""


class LoopThread:
    """An event loop in a daemon thread, which runs until `end`.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.slow_callback_duration = SLOW
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    @property
    def has_ended(self) -> bool:
        """Whether nothing can run in the thread any more."""
        return self._loop.is_closed()

    def submit(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Runs a coroutine in the thread; the future has its result, and cancels it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine in the thread and returns its result, in the event loop of the caller."""
        return await asyncio.wrap_future(self.submit(work))

    def wait(self, work: Coroutine[Any, Any, T], *, grace: float) -> T:
        """Runs a coroutine in the thread, and blocks until it has ended.

        Args:
            work: cancelled if the caller is interrupted, as by Ctrl-C.
            grace: seconds for which it may then clean up.
        """
        ended = threading.Event()

        async def watched() -> T:
            try:
                return await work
            finally:
                ended.set()

        future = self.submit(watched())
        try:
            return future.result()
        except BaseException:
            if not future.done():
                future.cancel()
                ended.wait(grace)
            raise

    def end(self, timeout: float) -> None:
        """Cancels what still runs, and waits up to `timeout` seconds for the end of the thread."""
        with suppress(RuntimeError):  # it has ended
            self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            left = asyncio.all_tasks(self._loop)
            for task in left:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()
