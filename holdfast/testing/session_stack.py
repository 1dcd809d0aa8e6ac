"""The Temporal server that all tests of a session share, also those in other processes of pytest-xdist."""

from __future__ import annotations

import fcntl
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr
from temporalio.client import Client

from holdfast import stack
from holdfast._util.loop_thread import LoopThread
from holdfast.settings import Settings
from holdfast.stack.progress import say_nothing
from holdfast.temporal.connection import connect_temporal

USUAL_START = 5.0  # seconds; a server that is installed starts in one or two
END_TIMEOUT = 10.0  # seconds for the end of the thread; it takes milliseconds


@dataclass(frozen=True)
class SessionStack:
    """A local Temporal server with temporary state, and this process's connection to it."""

    address: str
    """host:port of Temporal."""
    ui: str | None
    """URL of Temporal's UI; `None` if the server has none."""
    home: Path
    """The state folder; it is deleted at the end of the session."""
    loop: LoopThread = field(repr=False)
    """Runs the workers of this process: they serve plain tests and those of any asyncio plugin alike, and a test that
    blocks does not stop them."""
    client: Client = field(repr=False)
    """Works in every event loop."""


@contextmanager
def session_stack(home: Path, report: Callable[[str], object]) -> Iterator[SessionStack]:
    """Starts the server, unless another process of the session has; the last process that uses it stops it.

    Args:
        home: the state folder.
        report: receives lines on what takes long, as a download of the server.

    Raises:
        TemporalUnavailable: no Temporal server is installed, and none could be downloaded.
    """
    model = SecretStr("unused")  # without one, the stack starts the scripted model server
    settings = Settings(
        _env_file=None, holdfast_home=home, temporal_address=None, temporal_namespace="default", openai_api_key=model
    )
    with home.with_name(f"{home.name}.users").open("a") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        loop = LoopThread("holdfast-testing")
        try:
            running = loop.submit(stack.up(settings, _patient(report), worker=False)).result()
            client = loop.submit(connect_temporal(running.address)).result()
            yield SessionStack(running.address, running.ui, home, loop, client)
        finally:
            if _is_last(users.fileno()):
                loop.submit(stack.down(settings, say_nothing)).result()
                shutil.rmtree(home, ignore_errors=True)
            loop.end(END_TIMEOUT)


def _is_last(users: int) -> bool:
    """Whether no other process uses the stack; none can begin to while this one holds the lock."""
    fcntl.flock(users, fcntl.LOCK_UN)
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _patient(report: Callable[[str], object]) -> Callable[[str], None]:
    """Returns what passes on the lines that come later than a start usually takes."""
    began = time.monotonic()

    def pass_on(line: str) -> None:
        if time.monotonic() - began > USUAL_START:
            report(line)

    return pass_on
