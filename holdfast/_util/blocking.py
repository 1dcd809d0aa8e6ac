"""Calls that block, kept off the event loop: for clients that know no `await`."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 16  # calls at once; apart from the threads of tools, which may all be taken by tools that never end
_pool = ThreadPoolExecutor(THREADS, thread_name_prefix="blocking")


async def run_blocking(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Makes a call that blocks in a thread, while the event loop goes on.

        rows = await run_blocking(connection.execute, "SELECT …")

    Context variables have the values that they have here. Cancelling gives the waiting up; the call itself goes on
    to its end, as no thread can be stopped.

    Args:
        function: a function that is not async.
        args: its arguments.
        kwargs: its arguments by name.

    Raises:
        TypeError: the function is async: await it instead.
        Exception: whatever the function raises.
    """
    if inspect.iscoroutinefunction(function):
        raise TypeError(f"run_blocking takes functions that block; {function!r} is async: await it instead")
    call = partial(contextvars.copy_context().run, _without_stop_iteration, partial(function, *args, **kwargs))
    return await asyncio.get_running_loop().run_in_executor(_pool, call)


def _without_stop_iteration(call: Callable[[], T]) -> T:
    try:
        return call()
    except StopIteration as error:
        raise RuntimeError("the function raised StopIteration") from error  # no future can carry it: it would hang
