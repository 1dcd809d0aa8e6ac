"""Workers that serve the code of agents which only this process has."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import TypeVar

from temporalio.client import Client
from temporalio.worker import PollerBehaviorSimpleMaximum, Worker
from typing_extensions import override

from holdfast.activities import CodeDependencies, build_code_activities
from holdfast.activities.heartbeat import HEARTBEAT_INTERVAL
from holdfast.activities.lifespans import Lifespans
from holdfast.activities.tool_loop import CallerLoop, Job, ToolLoop
from holdfast.agents.agent import Agent
from holdfast.agents.cancellation import Cancellation
from holdfast.agents.catalog import AgentCatalog
from holdfast.agents.live_catalog import LiveCatalog
from holdfast.agents.workspaces import WorkspaceRoots
from holdfast.client.inputs import Inputs
from holdfast.composition.agent_calls import ProgramAgentCalls
from holdfast.composition.models import LazyModel, model_access
from holdfast.composition.sandbox import configured_sandbox
from holdfast.composition.telemetry import Observability, traces
from holdfast.composition.worker_options import BUILD_ID, own_queue, workspace_roots
from holdfast.composition.workspaces import memory_folders, workspace_keeper
from holdfast.ports import ChatModel
from holdfast.ports.agent_calls import AgentCalls
from holdfast.ports.contents import ContentStore
from holdfast.settings import Settings
from holdfast.storage.persistence import Persistence
from holdfast.temporal.event_topics import TemporalEventTopics
from holdfast.temporal.payload_limits import PayloadLimits
from holdfast.temporal.stages import TemporalStageReports

T = TypeVar("T")
Serve = Callable[[Agent, asyncio.AbstractEventLoop | None], Awaitable[None]]

GRACE = timedelta(seconds=2)  # for calls in flight when the program ends; then they are lost, as in a crash
MAX_CALLS = 100  # of one agent at the same time
POLLERS = 2


class ProgramJob(Job[T]):
    """A call in the event loop of the program, which cancels its tasks when it ends: the call is then lost."""

    @override
    def _is_lost(self) -> bool:
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0


class ProgramLoop(CallerLoop):
    """Runs async tools in the event loop of the program, whose objects they may use; without one, in a thread."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._otherwise = ToolLoop()

    def use(self, loop: asyncio.AbstractEventLoop) -> None:
        """Sets the loop for the calls that begin from now on."""
        self._loop = loop

    @property
    def current(self) -> asyncio.AbstractEventLoop | None:
        """The loop; `None` means that the program has none."""
        return self._loop

    @override
    async def run(
        self, tool: str, work: Callable[[], Awaitable[T]], timeout: float, cancellation: Cancellation | None = None
    ) -> T:
        if self._loop is None or self._loop.is_closed():
            return await self._otherwise.run(tool, work, timeout, cancellation)
        return await self._result(ProgramJob(tool, self._loop, work, cancellation), timeout)


class CodeWorker:
    """Serves the code of one agent; it lives in the event loop that starts it.

    Args:
        client: connected to the namespace of the runs.
        settings: limits and folders.
        persistence: has the ledger of tool calls, memories and large payloads.
        agent: whose code it serves.
        serve: serves the code of another agent, in the same event loop, for a tool that calls it; `None` means that
            tools call agents without code of their own only.
    """

    def __init__(
        self, client: Client, settings: Settings, persistence: Persistence, agent: Agent, serve: Serve | None = None
    ) -> None:
        self._serve = serve
        self._client = client
        self._settings = settings
        self._persistence = persistence
        self._agent = agent
        self._loop = ProgramLoop()
        self._catalog = LiveCatalog(agent)
        self._lifespans = Lifespans(self._catalog, self._loop)
        self._model = LazyModel(settings)
        self._parts = AsyncExitStack()

    def use(self, loop: asyncio.AbstractEventLoop) -> None:
        """Runs async tools in another event loop from now on."""
        self._loop.use(loop)

    async def start(self) -> None:
        """Starts to take calls."""
        observed = await self._parts.enter_async_context(traces(self._settings, self._client))
        self._parts.push_async_callback(self._lifespans.close)
        self._parts.push_async_callback(self._model.close)
        for worker in self._workers(observed):
            await self._parts.enter_async_context(worker)

    async def stop(self) -> None:
        """Stops; calls in flight may end for a moment, and are then lost."""
        await self._parts.aclose()

    async def _serve_other(self, agent: Agent) -> None:
        if self._serve is not None:
            await self._serve(agent, self._loop.current)

    def _workers(self, observed: Observability) -> list[Worker]:
        client, settings, persistence = self._client, self._settings, self._persistence
        dependencies = code_dependencies(
            client,
            settings,
            persistence,
            queue=self._agent.code_queue,
            catalog=self._catalog,
            model=self._model,
            agents=lambda inputs: ProgramAgentCalls(client, inputs, self._serve_other),
            loop=self._loop,
            lifespans=self._lifespans,
            images=persistence.contents if persistence.database is not None else None,
            observed=observed,
        )
        activities = build_code_activities(dependencies)
        queues = [self._agent.code_queue, dependencies.own_queue]
        return [
            Worker(
                client,
                task_queue=queue,
                activities=activities,
                interceptors=observed.interceptors,
                identity=f"{self._agent.name}-{os.getpid()}@{socket.gethostname()}",
                max_concurrent_activities=MAX_CALLS,
                activity_task_poller_behavior=PollerBehaviorSimpleMaximum(POLLERS),
                max_heartbeat_throttle_interval=HEARTBEAT_INTERVAL,
                default_heartbeat_throttle_interval=HEARTBEAT_INTERVAL,
                graceful_shutdown_timeout=GRACE,
                build_id=BUILD_ID,
            )
            for queue in queues
            if queue is not None
        ]


def code_dependencies(
    client: Client,
    settings: Settings,
    persistence: Persistence,
    *,
    queue: str,
    catalog: AgentCatalog,
    model: ChatModel,
    agents: Callable[[Inputs], AgentCalls],
    loop: CallerLoop,
    lifespans: Lifespans,
    images: ContentStore | None,
    observed: Observability,
) -> CodeDependencies:
    """Returns what the activities are built from that call the code of agents.

    Args:
        client: connected to the namespace of the runs.
        settings: limits and folders.
        persistence: the stores.
        queue: the task queue that serves the code.
        catalog: the agents whose code is called.
        model: makes the model calls.
        agents: makes what runs agents that tools call.
        loop: where async tools run.
        lifespans: of the agents in the catalog.
        images: where images of results are stored; `None` means that the workers would not find them.
        observed: receives traces and metrics.
    """
    roots = WorkspaceRoots(workspace_roots(settings), settings.holdfast_home)
    limits = PayloadLimits(client.data_converter, settings.max_payload_bytes)
    return CodeDependencies(
        catalog=catalog,
        models=model_access(settings, model, persistence),
        store=persistence.store,
        contents=persistence.contents,
        images=images,
        limits=limits,
        memories=persistence.memories,
        bus=persistence.bus,
        ledger=persistence.ledger,
        ledger_required=settings.tool_ledger == "require",
        agents=agents(Inputs(lambda: images, limits.max_input_bytes)),
        topics=TemporalEventTopics(client, settings.temporal_task_queue),
        stages=TemporalStageReports(client),
        roots=roots,
        keeper=workspace_keeper(settings, persistence, roots),
        folders=memory_folders(settings, persistence),
        http=settings.http_access,
        max_result=settings.max_tool_result_bytes,
        tool_loop=loop,
        lifespans=lifespans,
        sandbox=configured_sandbox(settings),
        telemetry=observed.telemetry,
        own_queue=own_queue(queue) if catalog.has_servers() else None,
    )
