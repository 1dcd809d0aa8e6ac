"""Start, restart and stop of the local stack."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from temporalio.client import Client

from holdfast.errors import TemporalUnavailable
from holdfast.settings import Settings
from holdfast.stack import process, server
from holdfast.stack.launcher import Launcher, Replace
from holdfast.stack.locks import locked
from holdfast.stack.part_locks import PartName
from holdfast.stack.progress import Report
from holdfast.stack.state import Part, StateFile
from holdfast.stack.supervision import Supervision
from holdfast.stack.supervisor import SUPERVISED
from holdfast.stack.ui import ui_url

STOP_ORDER: tuple[PartName, ...] = ("supervisor", "worker", "model", "temporal")
"""Each part stops before the parts that it depends on, and first of all the one that would start them again."""
COMEBACK_TIMEOUT = 5.0  # seconds until the supervisor has started a part again; it takes less than one
POLL_INTERVAL = 0.05  # seconds between looks meanwhile


@dataclass(frozen=True)
class Stack:
    """The stack after `up`."""

    address: str
    """Address of Temporal, host:port."""
    ui: str | None
    """URL of Temporal's UI; `None` if unknown."""
    temporal: Part | None
    """`None` if Temporal runs elsewhere, at TEMPORAL_ADDRESS."""
    model: Part | None
    """The scripted model server; `None` if a model is configured."""
    worker: Part | None
    """`None` if no worker is running."""


async def up(
    settings: Settings,
    report: Report,
    *,
    worker: bool = True,
    program: Sequence[str] | None = None,
    replace: Replace = Replace.IF_CHANGED,
    supervised: bool | None = None,
) -> Stack:
    """Starts the parts that are not running yet.

    Args:
        settings: with `temporal_address`, no Temporal server is started; with a model, no scripted model server.
        report: receives plain lines on what is started, stopped and waited for.
        worker: whether to start a worker with these settings.
        program: the command that runs the worker; `None` means the package's own.
        replace: whether a worker that runs already is replaced; a scripted model server is if its code has changed.
        supervised: whether parts that end unasked are started again; `None` means if there is a worker.

    Raises:
        UsageError: the worker cannot be started with these settings or modules; one that runs already still does.
        TemporalUnavailable: the server is unavailable and could not be started.
        WorkerUnavailable: the worker did not start.
        Unavailable: the scripted model server did not start.
        SettingsError: the state folder cannot be used.
    """
    home = settings.prepare_home()
    async with _launcher(settings, home, report) as launcher, launcher.early_check(program if worker else ()):
        client = await launcher.temporal()
        keeps_worker = replace is Replace.NEVER and launcher.state.alive("worker") is not None
        model = await launcher.model(replace) if launcher.needs_model(keeps_worker=keeps_worker) else None
        if worker:
            await launcher.worker(client, model, program, replace)
            if settings.has_model and not keeps_worker:
                await launcher.stop("model")  # only after the worker that used it
        if worker if supervised is None else supervised:
            await launcher.supervise()
        return _described(settings, client, launcher)


async def start_worker(settings: Settings, report: Report, *, program: Sequence[str] | None = None) -> Part:
    """Starts the worker if it is not running; the other parts must be running.

    Raises:
        TemporalUnavailable: the server is unavailable.
        WorkerUnavailable: the worker did not start.
    """
    home = settings.prepare_home()
    async with _launcher(settings, home, report) as launcher:
        temporal = launcher.state.parts.get("temporal")
        address = settings.temporal_address or (temporal.address if temporal else None)
        if address is None:
            raise TemporalUnavailable(
                "the worker needs a Temporal server, but the local stack is not running; start it with `up`"
            )
        client = await server.connect(address, settings.temporal_namespace)
        model = None if settings.has_model else launcher.state.alive("model")
        return await launcher.worker(client, model, program, Replace.IF_CHANGED)


async def await_comeback(settings: Settings) -> None:
    """Waits until the supervisor has started parts that have just ended, which it does with their own settings."""
    home = settings.holdfast_home.absolute()
    loop = asyncio.get_running_loop()
    deadline = loop.time() + COMEBACK_TIMEOUT
    while loop.time() < deadline:
        supervision = Supervision(home, StateFile(home).read())
        if not any(supervision.is_awaited(name) for name in SUPERVISED):
            return
        await asyncio.sleep(POLL_INTERVAL)


async def supervise(settings: Settings) -> None:
    """Starts the supervisor again if it has ended while the stack runs."""
    home = settings.holdfast_home.absolute()
    state = StateFile(home).read()
    supervisor = state.parts.get("supervisor")
    if supervisor is None or not supervisor.wanted or supervisor.is_alive:
        return
    async with _launcher(settings, settings.prepare_home(), lambda _line: None) as launcher:
        await launcher.supervise()


async def down(settings: Settings, report: Report) -> None:
    """Stops all running parts, the worker first and Temporal last. Their data is kept for the next `up`."""
    if not settings.holdfast_home.exists():
        return
    async with _launcher(settings, settings.prepare_home(), report) as launcher:
        for name in STOP_ORDER:
            await launcher.stop(name)


async def kill(part: Part) -> None:
    """Kills a part and waits until it has ended."""
    await process.kill(part.pid, part.born)


@asynccontextmanager
async def _launcher(settings: Settings, home: Path, report: Report) -> AsyncIterator[Launcher]:
    async with locked(home / "stack.lock", lambda: report("another command is changing the stack; waiting for it")):
        yield Launcher(settings, home, report)


def _described(settings: Settings, client: Client, launcher: Launcher) -> Stack:
    local = settings.temporal_address is None
    return Stack(
        address=client.service_client.config.target_host,
        ui=ui_url(settings),
        temporal=launcher.state.alive("temporal") if local else None,
        model=launcher.state.alive("model"),
        worker=launcher.state.alive("worker"),
    )
