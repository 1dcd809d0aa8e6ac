"""Brings the local stack up and down."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from temporalio.client import Client

from holdfast.errors import TemporalUnavailable, WorkerUnavailable
from holdfast.settings import Settings
from holdfast.stack import model_server, process, server, sockets
from holdfast.stack import worker as workers
from holdfast.stack.binary import ServerBinary, find_server
from holdfast.stack.claims import claim, holder
from holdfast.stack.locks import locked
from holdfast.stack.progress import Report
from holdfast.stack.state import Part, PartName, PortName, StackState, StateFile, prepare_home
from holdfast.stack.ui import codec_endpoint, ui_url

PATIENCE: dict[PartName, float] = {"worker": 30.0, "model": 5.0, "temporal": 15.0}
"""Seconds that each part has to end by itself; the worker lets its activities finish."""
STOP_ORDER: tuple[PartName, ...] = ("worker", "model", "temporal")
"""Each before what it leans on."""
TITLES: dict[PartName, str] = {"worker": "worker", "model": "scripted model server", "temporal": "Temporal server"}


@dataclass(frozen=True)
class Stack:
    """The stack as `up` left it."""

    address: str
    """Of Temporal, host:port."""
    ui: str | None
    """Of Temporal's UI; None: not known."""
    temporal: Part | None
    """None: Temporal runs elsewhere, at TEMPORAL_ADDRESS."""
    model: Part | None
    """The scripted model server; None: a model is configured."""
    worker: Part | None
    """None: no worker was asked for and none runs."""


async def up(settings: Settings, report: Report, *, worker: bool = True, program: Sequence[str] | None = None) -> Stack:
    """Starts what does not run yet; with everything running it only makes sure of that.

    Args:
        settings: `temporal_address` means that Temporal runs elsewhere; a configured model, that
            the scripted one is not needed.
        report: is told in plain lines what is started, stopped and waited for.
        worker: whether a worker must run, with these settings.
        program: the command that runs the worker; None: the package's own.

    Raises:
        TemporalUnavailable: no server answers, and none could be started.
        WorkerUnavailable: the worker did not start.
        Unavailable: the scripted model server did not start.
        SettingsError: the state folder cannot be used.
    """
    home = prepare_home(settings)
    async with locked(home / "stack.lock", lambda: report("another command is at work on the stack: waiting for it")):
        launcher = _Launcher(settings, home, report)
        client = await launcher.temporal()
        model = None if settings.has_model else await launcher.model()
        if worker:
            await launcher.worker(client, model, program or workers.command())
            if settings.has_model:
                await launcher.stop("model")  # only after the worker that used it
        return launcher.stack(client)


async def start_worker(settings: Settings, report: Report, *, program: Sequence[str] | None = None) -> Part:
    """Starts the worker if it does not run; everything else must be up.

    Raises:
        TemporalUnavailable: no server answers.
        WorkerUnavailable: the worker did not start.
    """
    home = prepare_home(settings)
    async with locked(home / "stack.lock", lambda: report("another command is at work on the stack: waiting for it")):
        launcher = _Launcher(settings, home, report)
        state = launcher.state
        address = settings.temporal_address or (state.parts["temporal"].address if "temporal" in state.parts else None)
        if address is None:
            raise TemporalUnavailable("the local stack is not up, so there is no Temporal server for a worker")
        client = await server.connect(address, settings.temporal_namespace)
        model = None if settings.has_model else state.alive("model")
        return await launcher.worker(client, model, program or workers.command())


async def down(settings: Settings, report: Report) -> None:
    """Stops what runs: the worker first, Temporal last. What they keep stays; `up` goes on from there."""
    if not settings.holdfast_home.exists():
        return
    home = prepare_home(settings)
    async with locked(home / "stack.lock", lambda: report("another command is at work on the stack: waiting for it")):
        launcher = _Launcher(settings, home, report)
        for name in STOP_ORDER:
            await launcher.stop(name)


async def kill(part: Part) -> None:
    """Ends a part with SIGKILL, as a crash would, and waits until it is gone."""
    await process.kill(part.pid, part.born)


class _Launcher:
    """Starts and stops the parts; whoever holds one holds `stack.lock`."""

    def __init__(self, settings: Settings, home: Path, report: Report) -> None:
        self._settings = settings
        self._home = home
        self._report = report
        self._file = StateFile(home)
        aside = self._file.set_damaged_aside()
        if aside:
            report(f"{self._file.path} cannot be read; it was set aside as {aside.name}")
        self.state: StackState = self._file.read()

    def stack(self, client: Client) -> Stack:
        """The stack as it is now."""
        local = self._settings.temporal_address is None
        return Stack(
            address=client.service_client.config.target_host,
            ui=ui_url(self._settings),
            temporal=self.state.alive("temporal") if local else None,
            model=None if self._settings.has_model else self.state.alive("model"),
            worker=self.state.alive("worker"),
        )

    async def temporal(self) -> Client:
        """Makes sure of a Temporal server."""
        address, namespace = self._settings.temporal_address, self._settings.temporal_namespace
        if address is not None:
            try:
                return await server.connect(address, namespace)
            except TemporalUnavailable as error:
                raise TemporalUnavailable(
                    f"TEMPORAL_ADDRESS={address}: {error}. "
                    "Start that server, or unset TEMPORAL_ADDRESS to have a local one started."
                ) from error
        running = self.state.alive("temporal")
        if running:
            try:
                return await server.ready(running, namespace)
            except server.UnknownNamespace:
                self._report(f"the Temporal server restarts to make namespace {namespace!r}; runs go on by themselves")
        return await self._start_temporal()

    async def _start_temporal(self) -> Client:
        await self.stop("temporal")
        binary = await find_server(self._report)
        before = self.state.parts.get("temporal")
        if before and before.version != binary.server:
            self._report(f"the Temporal database was last used by server {before.version}; now it is {binary.server}'s")
        log_start = process.size(self._home / "logs" / "temporal.log")
        async with self._choosing_ports():
            part, client = await self._spawn_temporal(binary, log_start)
        await server.prepare_namespace(client)
        self._report(f"Temporal server {binary.server} started at {part.address}, UI at {ui_url(self._settings)}")
        return client

    async def _spawn_temporal(self, binary: ServerBinary, log_start: int) -> tuple[Part, Client]:
        ports = self._port("temporal"), self._port("ui")
        with claim(self._home, "temporal") as place:
            if not place.is_free:  # its start was broken off before it was recorded; two on one database would ruin it
                raise TemporalUnavailable(
                    f"a Temporal server that is not recorded holds {self._home / 'temporal.lock'}: "
                    "find it with `ps`, end it, and try again"
                )
            part = server.spawn(
                binary,
                self._home,
                self._settings.temporal_namespace,
                ports,
                place,
                codec_endpoint=codec_endpoint() if self._settings.holdfast_encryption_key else None,
            )
        self._remember(part)
        return part, await server.ready(part, self._settings.temporal_namespace, log_start)

    async def model(self) -> Part:
        """Makes sure of the scripted model server."""
        running = self.state.alive("model")
        if running:
            return running
        await self.stop("model")
        log_start = process.size(self._home / "logs" / "model.log")
        async with self._choosing_ports():
            with claim(self._home, "model") as place:
                part = model_server.spawn(self._home, self._port("model"), place)
            self._remember(part)
            await model_server.ready(part, log_start)
        self._report(
            f"scripted model server started at {part.address}: no model is configured, its answers are scripted"
        )
        return part

    async def worker(self, client: Client, model: Part | None, program: Sequence[str]) -> Part:
        """Makes sure of a worker with the present settings."""
        address = client.service_client.config.target_host
        model_url = model_server.base_url(model) if model else None
        wanted = workers.fingerprint(self._settings, program, address, model_url)
        running = self.state.alive("worker")
        if running:
            reason = await self._objection(running, wanted, client)
            if reason is None:
                return running
            self._report(f"the worker restarts, its runs go on by themselves: {reason}")
        await self.stop("worker")
        variables = workers.environment(self._settings, address, model_url)
        log_start = process.size(self._home / "logs" / "worker.log")
        with claim(self._home, "worker") as place:
            part = workers.spawn(program, self._home, variables, place).model_copy(update={"fingerprint": wanted})
        self._remember(part)
        try:
            await workers.ready(part, client, self._settings.temporal_task_queue, log_start)
        except WorkerUnavailable:
            await kill(part)
            raise
        self._report(f"worker started: pid {part.pid}, log {part.log}")
        return part

    async def _objection(self, running: Part, wanted: dict[str, str], client: Client) -> str | None:
        """Why a running worker will not do; None: it will."""
        changed = workers.changes(running.fingerprint, wanted)
        if changed:
            return f"other settings: {', '.join(changed)}"
        try:
            await workers.ready(running, client, self._settings.temporal_task_queue)
        except WorkerUnavailable:
            return "it has stopped working"
        return None

    async def stop(self, name: PartName) -> None:
        """Stops a part if it runs, also one that `stack.json` does not know of."""
        running = self.state.alive(name) or holder(self._home, name)
        if running is None:
            return
        title, patience = TITLES[name], PATIENCE[name]
        self._report(f"stopping the {title} (pid {running.pid})")
        if not await process.stop(running.pid, running.born, patience):
            self._report(f"the {title} had not ended after {patience:.0f} s and was killed")

    def _choosing_ports(self) -> AbstractAsyncContextManager[None]:
        """Until what was started listens: another stack of this machine must not choose the same port meanwhile."""
        path = Path(tempfile.gettempdir()) / f"holdfast-ports-{os.getuid()}.lock"
        return locked(path, lambda: self._report("another stack is being started: waiting for it"))

    def _port(self, name: PortName) -> int:
        taken = {port for other, port in self.state.ports.items() if other != name}
        self.state.ports[name] = sockets.choose(self.state.ports[name], taken)
        return self.state.ports[name]

    def _remember(self, part: Part) -> None:
        self.state.parts[part.name] = part
        self._file.write(self.state)
