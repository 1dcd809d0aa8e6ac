"""The agents that a program runs itself: it serves their code, and a worker does the rest."""

from __future__ import annotations

import asyncio
import sys
import threading
from asyncio import AbstractEventLoop
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from temporalio.client import Client

from holdfast._util.logger import get_logger
from holdfast._util.loop_thread import LoopThread
from holdfast._util.native_threads import call_at_exit
from holdfast.agent_result import AgentResult
from holdfast.agents.agent import Agent
from holdfast.agents.importing import refuse_during_import
from holdfast.agents.own_code import full_spec_of, has_code, spec_of, with_reached
from holdfast.agents.readers import reader_of
from holdfast.client.holdfast import Holdfast
from holdfast.client.inputs import RunInput
from holdfast.client.run_handle import RunHandle
from holdfast.client.session import Session
from holdfast.client.tool_runs import ExecutedTool, ToolCallOptions
from holdfast.composition.client import client_on
from holdfast.composition.reachable import ProcessStorage
from holdfast.errors import HoldfastError, WaitTimedOut, WorkerUnavailable
from holdfast.events import Event
from holdfast.settings import Settings
from holdfast.stack import Replace, await_comeback, compare, up
from holdfast.stack.serving import shown_files
from holdfast.start_options import SessionOptions, StartOptions
from holdfast.tools.mcp.servers import leave_servers
from holdfast.types import AgentSpec, RunId

if TYPE_CHECKING:
    from holdfast.composition.code_worker import Serve

log = get_logger(__name__)

CANCEL_TIMEOUT = 10.0  # seconds until a run that is cancelled with its caller must have ended; it takes up to 3
RESTART = "`holdfast up` restarts it with yours"
EXIT_TIMEOUT = 10.0  # seconds for the end of calls in flight when the process ends

_guard = threading.Lock()
_own_agents: OwnAgents | None = None


def own_agents() -> OwnAgents:
    """Returns what runs the agents of this process; it reads the settings when it is first requested.

    Raises:
        SettingsError: a setting has a bad value.
        UsageError: a module of HOLDFAST_AGENTS is being imported.
    """
    refuse_during_import()
    global _own_agents  # noqa: PLW0603 - one per process is what this is
    with _guard:
        if _own_agents is None:
            _own_agents = OwnAgents(Settings.load())
            call_at_exit(close_own_agents)
        return _own_agents


def close_own_agents() -> None:
    """Stops to serve the agents of this process; the next run of one reads the settings again."""
    global _own_agents
    with _guard:
        old, _own_agents = _own_agents, None
    if old is not None:
        old.close()


class CodeServer(Protocol):
    """Serves the code of one agent from this process; see `CodeWorker`."""

    def use(self, loop: AbstractEventLoop) -> None:
        """Runs async tools in another event loop from now on."""

    async def start(self) -> None:
        """Starts to take calls."""

    async def stop(self) -> None:
        """Stops."""


MakeCodeServer = Callable[[Client, Settings, Agent, "Serve"], CodeServer]

_make_code_server: MakeCodeServer | None = None


@contextmanager
def code_workers(make: MakeCodeServer) -> Iterator[None]:
    """Has the code of agents served by something else than a `CodeWorker` during the block, as tests do."""
    global _make_code_server  # noqa: PLW0603 - one per process, as what it is used by
    before, _make_code_server = _make_code_server, make
    try:
        yield
    finally:
        _make_code_server = before


@dataclass
class Connection:
    """What a program needs to run agents."""

    runs: Holdfast
    workers: dict[str, CodeServer] = field(default_factory=dict)
    """By the task queue that each serves."""
    serving: asyncio.Lock = field(default_factory=asyncio.Lock)


class OwnAgents:
    """Runs agents, and serves their code in a thread of its own, so that a program that is busy counts as alive.

    Args:
        settings: of the program.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._thread = LoopThread("holdfast")
        self._connecting: asyncio.Task[Connection] | None = None
        self._guarded: dict[AbstractEventLoop, tuple[AsyncGenerator[None, None], set[str]]] = {}

    async def run(
        self, agent: Agent | str, given: RunInput, options: StartOptions, spec: AgentSpec | None = None
    ) -> AgentResult:
        """Runs an agent to its end; a cancel of the caller cancels the run."""
        handle = await self.start(agent, given, options, spec)
        try:
            result = await handle.result()
        except asyncio.CancelledError:
            await _cancel(handle)
            raise
        log.info("run has ended", agent=_name(agent), run_id=handle.id, status=result.status.value)
        return result

    async def start(
        self, agent: Agent | str, given: RunInput, options: StartOptions, spec: AgentSpec | None = None
    ) -> RunHandle:
        """Starts a run, or finds the one that was started before under the same id, and serves the agent's code."""
        connection = await self._thread.call(self._connected())
        if isinstance(agent, str):
            return await connection.runs.start(agent, given, attach=True, **options)
        spec = spec or await full_spec_of(agent)
        handle = await connection.runs.start(spec, given, attach=True, **options)
        handle.read = reader_of(agent)
        log.info("run is started", agent=agent.name, run_id=handle.id)
        if spec.code_queue is not None or spec.agents or spec.team:
            await self._serve(agent, connection)
        return handle

    async def stream(self, agent: Agent, given: RunInput, options: StartOptions) -> AsyncIterator[Event]:
        """Runs an agent and yields what happens until the end; a cancel of the caller cancels the run."""
        handle = await self.start(agent, given, options)
        try:
            async for event in handle.events():
                yield event
        except asyncio.CancelledError:
            await _cancel(handle)
            raise

    async def execute_tool(
        self, agent: Agent, tool: str, arguments: Mapping[str, Any], options: ToolCallOptions
    ) -> ExecutedTool:
        """Calls a tool of an agent whose code is served."""
        connection = await self._thread.call(self._connected())
        await self._serve(agent, connection)
        spec = await full_spec_of(agent)
        return await connection.runs.tool_runs.execute(agent, tool, arguments, replace(options, spec=spec))

    async def session(self, agent: Agent, run_id: str, options: SessionOptions) -> Session:
        """Returns a session of an agent whose code is served."""
        connection = await self._thread.call(self._connected())
        await self._serve(agent, connection)
        session = connection.runs.session(run_id, await full_spec_of(agent), **options)
        session.read = reader_of(agent)
        return session

    async def handle(self, run_id: RunId) -> RunHandle:
        """Returns the handle of a run, of whichever agent; nothing is served."""
        return (await self._thread.call(self._connected())).runs.handle(run_id)

    def spec_of(self, agent: Agent) -> AgentSpec:
        """Returns the definition of an agent whose code this process serves."""
        return spec_of(agent)

    def close(self) -> None:
        """Stops serving, and ends the thread."""
        with suppress(TimeoutError, HoldfastError):
            self._thread.submit(self._stop()).result(EXIT_TIMEOUT)
        self._thread.end(EXIT_TIMEOUT)

    async def _connected(self) -> Connection:
        refuse_during_import()
        if self._connecting is None or (self._connecting.done() and self._connecting.exception()):
            self._connecting = asyncio.create_task(self._connect())
        return await asyncio.shield(self._connecting)

    async def _serve(self, agent: Agent, connection: Connection) -> None:
        """Serves the code of an agent and of those that it asks, in the caller's event loop."""
        loop = asyncio.get_running_loop()
        agents = [each for each in with_reached(agent) if has_code(each)]
        await self._thread.call(self._start_workers(agents, connection, loop))
        await self._guard_loop(loop, {each.code_queue for each in agents})

    async def _start_workers(self, agents: list[Agent], connection: Connection, loop: AbstractEventLoop) -> None:
        async with connection.serving:
            make = await asyncio.to_thread(_code_worker)

            async def serve(other: Agent, current: AbstractEventLoop | None) -> None:
                more = [each for each in with_reached(other) if has_code(each)]
                await self._start_workers(more, connection, current or loop)
                if current in self._guarded:
                    self._guarded[current][1].update(each.code_queue for each in more)

            for agent in agents:
                worker = connection.workers.get(agent.code_queue)
                if worker is None:
                    worker = make(connection.runs.temporal, self._settings, agent, serve)
                    worker.use(loop)
                    await worker.start()
                    connection.workers[agent.code_queue] = worker
                worker.use(loop)

    async def _connect(self) -> Connection:
        settings = self._settings
        address = settings.temporal_address or await _local_address(settings)
        runs = await client_on(settings, address, ProcessStorage(settings))
        if settings.temporal_address is not None:
            await _warn_without_worker(runs)
        return Connection(runs)

    async def _guard_loop(self, loop: AbstractEventLoop, queues: set[str]) -> None:
        """Stops serving when the program's event loop ends, in which async tools run."""
        if known := self._guarded.get(loop):
            known[1].update(queues)
            return
        served = set(queues)

        async def guard() -> AsyncGenerator[None, None]:
            try:
                yield
            finally:  # `asyncio.run` closes the generators of its loop at its end
                del self._guarded[loop]
                if not self._thread.has_ended:
                    await self._thread.call(self._stop(served))

        generator = guard()
        self._guarded[loop] = (generator, served)
        await anext(generator)

    async def _stop(self, queues: set[str] | None = None) -> None:
        if self._connecting is None or not self._connecting.done() or self._connecting.exception():
            return
        workers = self._connecting.result().workers
        stopped = [workers.pop(queue) for queue in list(workers) if queues is None or queue in queues]
        await asyncio.gather(*(worker.stop() for worker in stopped))
        if not workers:
            await leave_servers()


def _code_worker() -> MakeCodeServer:
    """Returns what makes workers; its modules take a second to load, in which the model is asked already."""
    if _make_code_server is not None:
        return _make_code_server
    from holdfast.composition.code_worker import CodeWorker  # noqa: PLC0415
    from holdfast.composition.persistence import shared_persistence  # noqa: PLC0415

    persistence = shared_persistence()
    return lambda client, settings, agent, serve: CodeWorker(client, settings, persistence, agent, serve)


def _name(agent: Agent | str) -> str:
    return agent if isinstance(agent, str) else agent.name


async def _cancel(handle: RunHandle) -> None:
    """Cancels a run and waits for its end, within a limit."""
    with suppress(HoldfastError, WaitTimedOut):
        await handle.cancel()
        await handle.result(CANCEL_TIMEOUT)


async def _local_address(settings: Settings) -> str:
    """Returns the address of the local stack, and starts what of it does not run."""
    await await_comeback(settings)
    address = (await up(settings, _say, replace=Replace.NEVER)).address
    if compared := compare(settings):
        if compared.differences:
            _say(f"the running worker has other settings: {', '.join(compared.differences)}. {RESTART}")
        if compared.changed_files:
            _say(f"the running worker serves older code: {shown_files(compared.changed_files)} changed. {RESTART}")
        if compared.outdated_model:
            _say(f"the running scripted model server answers with older code: {compared.outdated_model}. {RESTART}")
    return address


def _say(line: str) -> None:
    print(f"holdfast: {line}", file=sys.stderr)


async def _warn_without_worker(runs: Holdfast) -> None:
    try:
        await runs.check_worker()
    except WorkerUnavailable as error:
        log.warning("%s; runs wait until one does", error)
