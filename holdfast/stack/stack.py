"""Start and stop of the local stack."""

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
from holdfast.stack.locks import locked
from holdfast.stack.part_locks import holder, lock_part
from holdfast.stack.progress import Report
from holdfast.stack.state import Part, PartName, PortName, StackState, StateFile, prepare_home
from holdfast.stack.ui import codec_endpoint, ui_url

STOP_TIMEOUTS: dict[PartName, float] = {"worker": 30.0, "model": 5.0, "temporal": 15.0}
"""Seconds from SIGTERM to SIGKILL for each part; the worker finishes its activities."""
STOP_ORDER: tuple[PartName, ...] = ("worker", "model", "temporal")
"""Each part stops before the parts that it depends on."""
TITLES: dict[PartName, str] = {"worker": "worker", "model": "scripted model server", "temporal": "Temporal server"}


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


async def up(settings: Settings, report: Report, *, worker: bool = True, program: Sequence[str] | None = None) -> Stack:
    """Starts the parts that are not running yet.

    Args:
        settings: with `temporal_address`, no Temporal server is started; with a model, no scripted model server.
        report: receives plain lines on what is started, stopped and waited for.
        worker: whether to start a worker with these settings.
        program: the command that runs the worker; `None` means the package's own.

    Raises:
        TemporalUnavailable: the server is unavailable and could not be started.
        WorkerUnavailable: the worker did not start.
        Unavailable: the scripted model server did not start.
        SettingsError: the state folder cannot be used.
    """
    home = prepare_home(settings)
    async with locked(home / "stack.lock", lambda: report("another command is changing the stack; waiting for it")):
        launcher = _Launcher(settings, home, report)
        client = await launcher.temporal()
        model = None if settings.has_model else await launcher.model()
        if worker:
            await launcher.worker(client, model, program or workers.command())
            if settings.has_model:
                await launcher.stop("model")  # only after the worker that used it
        return launcher.stack(client)


async def start_worker(settings: Settings, report: Report, *, program: Sequence[str] | None = None) -> Part:
    """Starts the worker if it is not running; the other parts must be running.

    Raises:
        TemporalUnavailable: the server is unavailable.
        WorkerUnavailable: the worker did not start.
    """
    home = prepare_home(settings)
    async with locked(home / "stack.lock", lambda: report("another command is changing the stack; waiting for it")):
        launcher = _Launcher(settings, home, report)
        state = launcher.state
        address = settings.temporal_address or (state.parts["temporal"].address if "temporal" in state.parts else None)
        if address is None:
            raise TemporalUnavailable(
                "the worker needs a Temporal server, but the local stack is not running; start it with `up`"
            )
        client = await server.connect(address, settings.temporal_namespace)
        model = None if settings.has_model else state.alive("model")
        return await launcher.worker(client, model, program or workers.command())


async def down(settings: Settings, report: Report) -> None:
    """Stops all running parts, the worker first and Temporal last. Their data is kept for the next `up`."""
    if not settings.holdfast_home.exists():
        return
    home = prepare_home(settings)
    async with locked(home / "stack.lock", lambda: report("another command is changing the stack; waiting for it")):
        launcher = _Launcher(settings, home, report)
        for name in STOP_ORDER:
            await launcher.stop(name)


async def kill(part: Part) -> None:
    """Kills a part and waits until it has ended."""
    await process.kill(part.pid, part.born)


class _Launcher:
    """Starts and stops the parts; its user holds `stack.lock`."""

    def __init__(self, settings: Settings, home: Path, report: Report) -> None:
        self._settings = settings
        self._home = home
        self._report = report
        self._file = StateFile(home)
        renamed = self._file.set_damaged_aside()
        if renamed:
            report(f"{self._file.path} is damaged; it was renamed to {renamed.name}")
        self.state: StackState = self._file.read()

    def stack(self, client: Client) -> Stack:
        """Returns the current stack."""
        local = self._settings.temporal_address is None
        return Stack(
            address=client.service_client.config.target_host,
            ui=ui_url(self._settings),
            temporal=self.state.alive("temporal") if local else None,
            model=None if self._settings.has_model else self.state.alive("model"),
            worker=self.state.alive("worker"),
        )

    async def temporal(self) -> Client:
        """Starts the Temporal server if it is not running."""
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
                self._report(
                    f"restarting the Temporal server to create namespace {namespace!r}; runs resume automatically"
                )
        return await self._start_temporal()

    async def _start_temporal(self) -> Client:
        await self.stop("temporal")
        binary = await find_server(self._report)
        before = self.state.parts.get("temporal")
        if before and before.version != binary.server:
            self._report(
                f"the Temporal database was last used by server {before.version}; it is now used by {binary.server}"
            )
        log_start = process.size(self._home / "logs" / "temporal.log")
        async with self._choosing_ports():
            part, client = await self._spawn_temporal(binary, log_start)
        await server.prepare_namespace(client)
        self._report(f"Temporal server {binary.server} started at {part.address}, UI at {ui_url(self._settings)}")
        return client

    async def _spawn_temporal(self, binary: ServerBinary, log_start: int) -> tuple[Part, Client]:
        ports = self._port("temporal"), self._port("ui")
        with lock_part(self._home, "temporal") as lock:
            if not lock.is_acquired:  # an interrupted start left it unrecorded; two servers would damage the database
                raise TemporalUnavailable(
                    f"a Temporal server that is not in stack.json holds {self._home / 'temporal.lock'}: "
                    "find it with `ps`, end it, and try again"
                )
            part = server.spawn(
                binary,
                self._home,
                self._settings.temporal_namespace,
                ports,
                lock,
                codec_endpoint=codec_endpoint() if self._settings.holdfast_encryption_key else None,
            )
        self._record(part)
        return part, await server.ready(part, self._settings.temporal_namespace, log_start)

    async def model(self) -> Part:
        """Starts the scripted model server if it is not running."""
        running = self.state.alive("model")
        if running:
            return running
        await self.stop("model")
        log_start = process.size(self._home / "logs" / "model.log")
        async with self._choosing_ports():
            with lock_part(self._home, "model") as lock:
                part = model_server.spawn(self._home, self._port("model"), lock)
            self._record(part)
            await model_server.ready(part, log_start)
        self._report(
            f"scripted model server started at {part.address}: no model is configured, its answers are scripted"
        )
        return part

    async def worker(self, client: Client, model: Part | None, program: Sequence[str]) -> Part:
        """Starts a worker, or restarts it if the settings have changed."""
        address = client.service_client.config.target_host
        model_url = model_server.base_url(model) if model else None
        wanted = workers.fingerprint(self._settings, program, address, model_url)
        running = self.state.alive("worker")
        if running:
            reason = await self._restart_reason(running, wanted, client)
            if reason is None:
                return running
            self._report(f"restarting the worker; its runs resume automatically: {reason}")
        await self.stop("worker")
        variables = workers.environment(self._settings, address, model_url)
        log_start = process.size(self._home / "logs" / "worker.log")
        with lock_part(self._home, "worker") as lock:
            part = workers.spawn(program, self._home, variables, lock).model_copy(update={"fingerprint": wanted})
        self._record(part)
        try:
            await workers.ready(part, client, self._settings.temporal_task_queue, log_start)
        except WorkerUnavailable:
            await kill(part)
            raise
        self._report(f"worker started: pid {part.pid}, log {part.log}")
        return part

    async def _restart_reason(self, running: Part, wanted: dict[str, str], client: Client) -> str | None:
        """Returns why a running worker must be restarted; `None` if it need not be."""
        changed = workers.changes(running.fingerprint, wanted)
        if changed:
            return f"other settings: {', '.join(changed)}"
        try:
            await workers.ready(running, client, self._settings.temporal_task_queue)
        except WorkerUnavailable:
            return "it has stopped polling"
        return None

    async def stop(self, name: PartName) -> None:
        """Stops a part if it is running, also one that is not in `stack.json`."""
        running = self.state.alive(name) or holder(self._home, name)
        if running is None:
            return
        title, grace_seconds = TITLES[name], STOP_TIMEOUTS[name]
        self._report(f"stopping the {title} (pid {running.pid})")
        if not await process.stop(running.pid, running.born, grace_seconds):
            self._report(f"the {title} had not ended after {grace_seconds:.0f} s and was killed")

    def _choosing_ports(self) -> AbstractAsyncContextManager[None]:
        """Keeps other stacks of this machine from choosing the same port until the started part listens."""
        path = Path(tempfile.gettempdir()) / f"holdfast-ports-{os.getuid()}.lock"
        return locked(path, lambda: self._report("another stack is being started; waiting for it"))

    def _port(self, name: PortName) -> int:
        taken = {port for other, port in self.state.ports.items() if other != name}
        self.state.ports[name] = sockets.choose(self.state.ports[name], taken)
        return self.state.ports[name]

    def _record(self, part: Part) -> None:
        self.state.parts[part.name] = part
        self._file.write(self.state)
