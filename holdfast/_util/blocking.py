"""Blocking calls, kept off the event loop."""

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

THREADS = 16  # calls at the same time; separate from the threads of tools, which tools that hang may use up
_pool = ThreadPoolExecutor(THREADS, thread_name_prefix="blocking")


async def run_blocking(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Runs a blocking function in a thread.

        rows = await run_blocking(connection.execute, "SELECT …")

    The function sees the caller's context variables. A cancellation ends the waiting but not the call, as threads
    cannot be stopped.

    Args:
        function: a function that is not async.
        args: its positional arguments.
        kwargs: its keyword arguments.

    Raises:
        TypeError: it is not a function, or it is async; await that instead.
        Exception: whatever the function raises.
    """
    if not callable(function):
        raise TypeError(f"run_blocking needs a function, not {function!r:.80}")
    if inspect.iscoroutinefunction(function):
        raise TypeError(f"run_blocking needs a blocking function, but {function!r} is async; await it instead")
    call = partial(contextvars.copy_context().run, _without_stop_iteration, partial(function, *args, **kwargs))
    return await asyncio.get_running_loop().run_in_executor(_pool, call)


def _without_stop_iteration(call: Callable[[], T]) -> T:
    try:
        return call()
    except StopIteration as error:
        raise RuntimeError(
            "the function raised StopIteration"
        ) from error  # a future cannot carry StopIteration; the call would hang
