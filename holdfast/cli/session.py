"""What a command works with once it is connected; the local stack is started where it is needed."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from temporalio.client import Client

from holdfast.cli.program import command
from holdfast.cli.render.output import Output
from holdfast.client.client import Holdfast
from holdfast.client.run_handle import RunHandle
from holdfast.composition.client import open_client
from holdfast.composition.keys import key_ring
from holdfast.errors import TemporalUnavailable, WorkerUnavailable
from holdfast.settings import Settings
from holdfast.stack import local_address, ui_url, up
from holdfast.types import RunId


@dataclass(frozen=True)
class Session:
    """A connection, and whom to tell."""

    out: Output
    settings: Settings
    client: Client
    runs: Holdfast

    @property
    def is_local(self) -> bool:
        """Whether Temporal is the local stack's."""
        return self.settings.temporal_address is None

    def run(self, run_id: RunId) -> RunHandle:
        """The run of this id."""
        return self.runs.handle(run_id)

    def ui(self, run_id: RunId | None = None) -> str | None:
        """Where Temporal's UI shows a run, or all of them; None when that is not known."""
        return ui_url(self.settings, run_id)

    async def has_worker(self) -> bool:
        """Whether somebody polls; where nobody does, says so."""
        try:
            await self.runs.check_worker()
        except WorkerUnavailable:
            queue = self.settings.temporal_task_queue
            start = command("worker") if not self.is_local else command("up")
            self.out.warn(f"no worker polls task queue {queue!r}: nothing happens until one does; `{start}` starts one")
            return False
        return True


@asynccontextmanager
async def connected(out: Output, *, whole: bool = False) -> AsyncIterator[Session]:
    """Connects to the server that TEMPORAL_ADDRESS names, else to the local stack, started if it is down.

    Args:
        out: is told what is started.
        whole: whether each part of the local stack must run, with the present settings; else a
            Temporal server that answers is enough.

    Raises:
        SettingsError: a setting has a bad value.
        Unavailable: something could not be reached or started.
    """
    settings = Settings.load()
    key_ring(settings)  # a bad key is reported before anything is started
    address = settings.temporal_address or await _local(settings, out, whole=whole)
    async with AsyncExitStack() as stack:
        try:
            runs = await stack.enter_async_context(open_client(settings, address))
        except TemporalUnavailable as error:
            raise _with_advice(settings, error) from error
        yield Session(out, settings, runs.temporal, runs)


def _with_advice(settings: Settings, error: TemporalUnavailable) -> TemporalUnavailable:
    if settings.temporal_address is None:
        return error
    return TemporalUnavailable(
        f"{_without_noise(error)}; start that server, or unset TEMPORAL_ADDRESS to have a local one started"
    )


def _without_noise(error: TemporalUnavailable) -> str:
    """The system's own words, where the SDK wraps them in the names of its types."""
    said, _, details = str(error).partition(": ")
    found = re.search(r'message: "([^"]+)"', details)
    return f"{said}: {found[1]}" if found else str(error)


async def _local(settings: Settings, out: Output, *, whole: bool) -> str:
    running = local_address(settings.holdfast_home)
    if running and not whole:
        return running
    if running is None:
        out.note(f"no local stack runs in {settings.holdfast_home}: starting it")
    return (await up(settings, out.note)).address
