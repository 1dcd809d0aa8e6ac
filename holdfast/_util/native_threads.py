"""Threads of native libraries, which abort a process that ends while one of them runs Python code.

The SDKs of Temporal and SurrealDB answer from threads of their own. Such a thread hands an answer to the event loop and
needs the interpreter once more afterwards, when the program may already have come to its end. An interpreter that is
being finalized ends the thread there and then, which Rust does not allow: the process dies from SIGABRT after all its
work is done.
"""

from __future__ import annotations

import atexit
import functools
import sys
import threading
import time
from collections.abc import Callable

DEADLINE = 5.0
"""Seconds to wait at most: a thread that some library keeps in Python for good must not keep the program."""
PAUSE = 0.001
"""Seconds between two looks."""


def call_at_exit(function: Callable[..., object], *args: object) -> None:
    """Calls a function at the end of the program; the last one that was given is called first.

    After all of them the program waits, for up to `DEADLINE`, until no native thread runs Python code.
    """
    await_native_threads_at_exit()
    atexit.register(function, *args)


@functools.cache
def await_native_threads_at_exit() -> None:
    """Makes the program wait at its end as `call_at_exit` says."""
    atexit.register(_wait)


def _wait() -> None:
    deadline = time.monotonic() + DEADLINE
    while _native_threads() and time.monotonic() < deadline:
        time.sleep(PAUSE)


def _native_threads() -> set[int]:
    """Returns the identifiers of threads that Python did not start and that run Python code, or are about to."""
    python = (thread for thread in threading.enumerate() if not isinstance(thread, threading._DummyThread))  # noqa: SLF001
    # `_current_frames` leaves those out that wait to enter Python.
    return sys._current_exceptions().keys() - {thread.ident for thread in python}  # noqa: SLF001
