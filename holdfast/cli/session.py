"""A command's connection to Temporal; the local stack is started if it is needed."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from holdfast.cli.program import command
from holdfast.cli.stack_notices import warn_of_worker
from holdfast.errors import TemporalUnavailable, WorkerUnavailable

if TYPE_CHECKING:
    from temporalio.client import Client

    from holdfast.cli.render.output import Output
    from holdfast.client.holdfast import Holdfast
    from holdfast.client.run_handle import RunHandle
    from holdfast.settings import Settings
    from holdfast.stack import WorkerComparison
    from holdfast.temporal.run_log import TemporalRunLog
    from holdfast.types import RunId


QUICK_QUERY = timedelta(seconds=5)
"""A worker answers within milliseconds, or some seconds if it has to replay a long run; history is the alternative."""


@dataclass(frozen=True)
class Session:
    """An open connection, and the output of the command that uses it."""

    out: Output
    settings: Settings
    client: Client
    runs: Holdfast

    @property
    def is_local(self) -> bool:
        """Whether the Temporal server is that of the local stack."""
        return self.settings.temporal_address is None

    def run(self, run_id: RunId) -> RunHandle:
        """The run with this id."""
        return self.runs.handle(run_id)

    def recorded_run(self, run_id: RunId, *, has_worker: bool) -> RunHandle:
        """The run with this id, read from history if no worker answers quickly.

        Args:
            run_id: the id.
            has_worker: whether a worker may answer; else none is asked.
        """
        from holdfast.client.run_handle import RunHandle  # noqa: PLC0415 - see connected

        log = self.recorded_log(has_worker=has_worker)
        return RunHandle(self.client, log, run_id, inputs=self.run(run_id).inputs)

    def recorded_log(self, *, has_worker: bool) -> TemporalRunLog:
        """The log of runs, read from history if no worker answers quickly; see `recorded_run`."""
        from holdfast.temporal.run_log import TemporalRunLog  # noqa: PLC0415 - see connected

        return TemporalRunLog(self.client, query_timeouts=(QUICK_QUERY,) if has_worker else (), gives_up=True)

    def ui(self, run_id: RunId | None = None) -> str | None:
        """Address of a run in Temporal's UI, or of all runs; `None` means that it is not known."""
        from holdfast.stack import ui_url  # noqa: PLC0415 - see connected

        return ui_url(self.settings, run_id)

    def compare_worker(self) -> WorkerComparison | None:
        """The worker of the local stack, compared with this command; `None` means that none is running, or known."""
        from holdfast.stack import compare  # noqa: PLC0415 - see connected

        return compare(self.settings) if self.is_local else None

    async def has_worker(self) -> bool:
        """Whether a worker polls the task queue; warns if none does."""
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
    """Connects to the server that TEMPORAL_ADDRESS names, else to the local stack, which is started if it is down.

    Args:
        out: reports what is started.
        whole: whether each part of the local stack must run; else a Temporal server that answers is enough. Parts
            that run already are left alone.

    Raises:
        SettingsError: a setting has a bad value.
        Unavailable: something could not be reached or started.
    """
    # The clients are loaded here, not by every command that merely shows its help: they take half a second.
    from holdfast.composition.client import open_client  # noqa: PLC0415
    from holdfast.composition.keys import key_ring  # noqa: PLC0415
    from holdfast.settings import Settings  # noqa: PLC0415

    settings = Settings.load()
    key_ring(settings)  # a bad key is reported before anything is started
    address = settings.temporal_address or await _local(settings, out, whole=whole)
    async with AsyncExitStack() as stack:
        try:
            runs = await stack.enter_async_context(open_client(settings, address))
        except TemporalUnavailable as error:
            raise _with_advice(settings, error) from error
        session = Session(out, settings, runs.temporal, runs)
        if session.is_local and not whole:
            await _add_search_attributes(runs.temporal)
        warn_of_worker(out, session.compare_worker(), runs=whole)
        yield session


async def _add_search_attributes(client: Client) -> None:
    """Adds what the namespace of a running local stack lacks: an older version may have started it."""
    from holdfast.stack import add_search_attributes  # noqa: PLC0415 - see connected
    from holdfast.temporal.connection import translated_errors  # noqa: PLC0415

    with translated_errors():
        await add_search_attributes(client)


def _with_advice(settings: Settings, error: TemporalUnavailable) -> TemporalUnavailable:
    if settings.temporal_address is None:
        return error
    return TemporalUnavailable(
        f"{_without_type_names(error)}; start that server, or unset TEMPORAL_ADDRESS to have a local one started"
    )


def _without_type_names(error: TemporalUnavailable) -> str:
    """The message of the operating system, which the SDK wraps in the names of its types."""
    said, _, details = str(error).partition(": ")
    found = re.search(r'(?:message|error): "([^"]+)"', details)
    return f"{said}: {found[1]}" if found else str(error)


async def _local(settings: Settings, out: Output, *, whole: bool) -> str:
    from holdfast.stack import Replace, await_comeback, local_address, supervise, up  # noqa: PLC0415 - see connected

    await await_comeback(settings)
    running = local_address(settings.holdfast_home)
    if running and not whole:
        await supervise(settings)
        return running
    if running is None:
        out.note(f"no local stack runs in {settings.holdfast_home}: starting it")
    return (await up(settings, out.note, replace=Replace.NEVER)).address
