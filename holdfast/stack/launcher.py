"""Start and stop of single parts of the stack."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeVar

from temporalio.client import Client

from holdfast.errors import TemporalUnavailable, Unavailable, WorkerUnavailable
from holdfast.settings import Settings
from holdfast.stack import check, model_server, process, server, sockets
from holdfast.stack import worker as workers
from holdfast.stack.binary import ServerBinary, find_server, private_cache
from holdfast.stack.locks import locked
from holdfast.stack.part_locks import TITLES, PartLock, PartName, claimed
from holdfast.stack.progress import Report, ticking
from holdfast.stack.serving import Serving, shown_files
from holdfast.stack.state import Part, PortName, StackState, StateFile, log_path
from holdfast.stack.supervision import Supervision
from holdfast.stack.ui import codec_endpoint, ui_url
from holdfast.temporal.connection import translated_errors
from holdfast.temporal.visibility import check_search_attributes

STOP_TIMEOUTS: Mapping[PartName, float] = {"worker": 30.0, "model": 5.0, "temporal": 15.0, "supervisor": 5.0}
"""Seconds from SIGTERM to SIGKILL for each part; the worker finishes its activities."""
PORTS: Mapping[PartName, tuple[PortName, ...]] = {"temporal": ("temporal", "ui"), "model": ("model",)}
START_ATTEMPTS = 3  # if another program is faster to listen on the chosen port


T = TypeVar("T")


class Replace(enum.Enum):
    """When a worker that runs already is replaced by one with the current settings and code."""

    NEVER = enum.auto()
    IF_CHANGED = enum.auto()
    ALWAYS = enum.auto()


class Launcher:
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
        self._early_check: asyncio.Task[None] | None = None

    async def temporal(self) -> Client:
        """Starts the Temporal server if it is not running, or does not answer."""
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
        if running and running.address:
            try:
                client = await server.ready(running, namespace, server.RUNNING_TIMEOUT)
            except server.UnknownNamespace:
                self._report(
                    f"restarting the Temporal server to create namespace {namespace!r}; runs resume automatically"
                )
            except TemporalUnavailable:
                if running.is_alive:
                    self._report("restarting the Temporal server, which does not answer; runs resume automatically")
                    await self._kill(running)
            else:
                await server.prepare_namespace(client)  # an older version may have started it
                return client
        return await self._start_temporal()

    async def _start_temporal(self) -> Client:
        before = self.state.parts.get("temporal")
        binary = await find_server(self._report)  # before a running one is stopped, as there may be none
        await self.stop("temporal")
        if before and before.version != binary.server and before.version is not None:
            self._report(
                f"the Temporal database was last used by server {before.version}; it is now used by {binary.server}"
            )

        async def start() -> tuple[Part, Client]:
            log_start = process.size(log_path(self._home, "temporal"))
            part = await self._spawn("temporal", lambda lock: self._spawn_temporal(binary, lock))
            return part, await server.ready(part, self._settings.temporal_namespace, server.START_TIMEOUT, log_start)

        part, client = await self._on_a_free_port("temporal", start)
        await server.prepare_namespace(client)
        self._report(f"Temporal server {binary.server} started at {part.address}, UI at {ui_url(self._settings)}")
        return client

    def _spawn_temporal(self, binary: ServerBinary, lock: PartLock) -> Part:
        return server.spawn(
            binary,
            self._home,
            self._settings.temporal_namespace,
            (self._port("temporal"), self._port("ui")),
            lock,
            codec_endpoint=codec_endpoint() if self._settings.holdfast_encryption_key else None,
        )

    async def model(self, replace: Replace) -> Part:
        """Starts the scripted model server if it is not running, or replaces one whose code has changed.

        Its calls in flight are retried, and it has no state.
        """
        running = self.state.alive("model")
        if running and running.address:
            reason = None if replace is Replace.NEVER else model_server.outdated(self._home, running)
            if reason is None:
                return running
            self._report(f"restarting the scripted model server: {reason}")
        await self.stop("model")

        async def start() -> Part:
            log_start = process.size(log_path(self._home, "model"))
            part = await self._spawn("model", lambda lock: model_server.spawn(self._home, self._port("model"), lock))
            await model_server.ready(part, log_start)
            return part

        part = await self._on_a_free_port("model", start)
        self._report(
            f"scripted model server started at {part.address}: no model is configured, its answers are scripted"
        )
        return part

    async def worker(self, client: Client, model: Part | None, program: Sequence[str] | None, replace: Replace) -> Part:
        """Starts a worker, or replaces the one that runs.

        Whatever can be checked is, before the running worker is stopped: settings, modules, ports, and the namespace.

        Raises:
            UsageError: the worker cannot be started with these settings or modules.
            WorkerUnavailable: it ended, or does not poll.
        """
        address = client.service_client.config.target_host
        model_url = model_server.base_url(model) if model else None
        command = program or workers.command()
        wanted = workers.fingerprint(self._settings, command, address, model_url)
        running = self.state.alive("worker")
        if running and replace is Replace.NEVER:
            return running
        reason = await self._restart_reason(running, wanted, client, replace) if running else None
        if running and reason is None:
            return running
        variables = workers.environment(self._settings, address, model_url)
        if program is None:
            await self._check(variables, running)
        if self._settings.temporal_address is not None:  # else it is the stack's own server, which has been prepared
            with translated_errors():
                await check_search_attributes(client)
        if running:
            self._report(f"restarting the worker ({reason}); its runs resume automatically")
        await self.stop("worker")
        log_start = process.size(log_path(self._home, "worker"))
        part = await self._spawn("worker", lambda lock: workers.spawn(command, self._home, variables, lock, wanted))
        try:
            async with ticking("waiting for the worker", str, self._report):
                await workers.ready(part, client, self._settings.temporal_task_queue, workers.START_TIMEOUT, log_start)
        except WorkerUnavailable:
            await self._kill(part)
            raise
        self._report(f"worker started: pid {part.pid}, log {part.log}")
        return part

    @asynccontextmanager
    async def early_check(self, program: Sequence[str] | None) -> AsyncIterator[None]:
        """Checks the settings and modules of a first worker while the other parts are started."""
        if program is None and self.state.alive("worker") is None:
            variables = workers.environment(self._settings, self._settings.temporal_address or "", None)
            self._early_check = asyncio.create_task(self._new_check(variables, None))
        try:
            yield
        finally:
            if self._early_check is not None:
                self._early_check.cancel()
                await asyncio.gather(self._early_check, return_exceptions=True)

    async def _check(self, variables: Mapping[str, str], running: Part | None) -> None:
        await (self._early_check or self._new_check(variables, running))

    async def _new_check(self, variables: Mapping[str, str], running: Part | None) -> None:
        log = log_path(self._home, "worker")
        await check.check_worker(variables, log, replaces=running.pid if running else None)

    def needs_model(self, *, keeps_worker: bool) -> bool:
        """Returns whether the scripted model server has to run: for a new worker, or the one that is kept."""
        if not keeps_worker:
            return not self._settings.has_model
        known = self.state.parts.get("model")
        return known is not None and known.wanted

    async def _restart_reason(
        self, running: Part, wanted: dict[str, str], client: Client, replace: Replace
    ) -> str | None:
        """Returns why a running worker must be restarted; `None` if it need not be."""
        if replace is Replace.ALWAYS:
            return "as you asked"
        changed = workers.changes(running.fingerprint, wanted)
        if changed:
            return f"other settings: {', '.join(changed)}" if running.fingerprint else "its settings are not known"
        serving = Serving.read(self._home, running)
        edited = serving.changed_files() if serving else []
        if edited:
            return f"its code has changed: {shown_files(edited)}"
        try:
            await workers.ready(running, client, self._settings.temporal_task_queue, workers.POLL_TIMEOUT)
        except WorkerUnavailable:
            return "it has stopped polling"
        return None

    async def supervise(self) -> None:
        """Starts the supervisor if it is not running, or if another worker has replaced the one that it can start."""
        supervision = Supervision(self._home, self.state)
        running = self.state.alive("supervisor")
        if running and supervision.is_current(running):
            return
        variables = supervision.environment(self._settings)
        if variables is None:
            return
        await self.stop("supervisor")
        await self._spawn("supervisor", lambda lock: supervision.spawn(variables, lock))

    async def stop(self, name: PartName) -> None:
        """Stops a part if it is running, also one that is not in `stack.json`."""
        running = self.state.alive(name)
        if (known := self.state.parts.get(name)) is not None and known.wanted:
            self.state.parts[name] = known.model_copy(update={"wanted": False})
            self._file.write(self.state)
        if running is None:
            return
        title, grace_seconds = TITLES[name], STOP_TIMEOUTS[name]
        if name != "supervisor":
            self._report(f"stopping the {title} (pid {running.pid})")
        if not await process.stop(running.pid, running.born, grace_seconds):
            self._report(f"the {title} had not ended after {grace_seconds:.0f} s and was killed")

    async def _kill(self, part: Part) -> None:
        self.state.parts[part.name] = part.model_copy(update={"wanted": False})
        self._file.write(self.state)
        await process.kill(part.pid, part.born)

    async def _spawn(self, name: PartName, start: Callable[[PartLock], Part]) -> Part:
        """Starts a process that has the claim of its part from its first moment on, and records it."""

        def spawn() -> Part:
            with claimed(self._home, name) as lock:
                return start(lock)

        part = await asyncio.to_thread(spawn)
        self.state.parts[name] = part
        self._file.write(self.state)
        return part

    async def _on_a_free_port(self, name: PartName, start: Callable[[], Awaitable[T]]) -> T:
        """Starts a server, on other ports if another program has taken the chosen ones meanwhile."""
        attempts = START_ATTEMPTS
        while True:
            try:
                async with self._choosing_ports():
                    return await start()
            except Unavailable:
                attempts -= 1
                if not attempts or not self._has_lost_a_port(name):
                    raise

    def _has_lost_a_port(self, name: PartName) -> bool:
        has_ended = name in self.state.parts and not self.state.alive(name)
        return has_ended and not all(sockets.is_free(self.state.ports[port]) for port in PORTS[name])

    def _choosing_ports(self) -> AbstractAsyncContextManager[None]:
        """Keeps other stacks of this user from choosing the same port until the started part listens."""
        folder = private_cache() or self._home
        return locked(folder / "ports.lock", lambda: self._report("another stack is being started; waiting for it"))

    def _port(self, name: PortName) -> int:
        taken = {port for other, port in self.state.ports.items() if other != name}
        self.state.ports[name] = sockets.choose(self.state.ports[name], taken)
        return self.state.ports[name]
