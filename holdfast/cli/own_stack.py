"""A local stack of a command's own, in a temporary folder."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from holdfast.cli.render.output import Output
from holdfast.cli.session import Session
from holdfast.composition.client import open_client
from holdfast.settings import Settings
from holdfast.stack import down, up
from holdfast.stack.progress import say_nothing


@asynccontextmanager
async def own_stack(out: Output) -> AsyncIterator[Session]:
    """Starts a stack with the model of the settings and nothing else of them, and deletes it after the block.

    Raises:
        SettingsError: a setting has a bad value.
        Unavailable: a part of the stack could not be started.
    """
    chosen = Settings.load()
    with (
        tempfile.TemporaryDirectory(prefix="holdfast-demo-", ignore_cleanup_errors=True) as folder,
        contextlib.chdir(folder),  # the worker reads no `.env` and imports no modules of the project
        _cancelled_by_signals(),
    ):
        settings = _settings(chosen, Path(folder))
        out.note("starting a local stack for this demo alone")
        try:
            address = (await up(settings, say_nothing)).address
            async with open_client(settings, address) as runs:
                yield Session(out, settings, runs.temporal, runs)
        finally:
            await down(settings, say_nothing)


def _settings(chosen: Settings, folder: Path) -> Settings:
    home = folder / "state"
    return chosen.model_copy(
        update={
            "holdfast_home": home,
            "holdfast_agents": (),
            "agent_registry": None,
            "temporal_address": None,
            "temporal_namespace": "default",
            "temporal_task_queue": "holdfast",
            "state_persistence_backend": "surrealdb",
            "event_bus_backend": "surrealdb",
            "surrealdb_url": None,
        }
    )


@contextlib.contextmanager
def _cancelled_by_signals() -> Iterator[None]:
    """Lets a request to end, or a terminal that closes, end the block in order."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    numbers = (signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, task.cancel)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
