"""Construction of workers from the settings."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta

from temporalio.client import Client
from temporalio.converter import DataConverter
from temporalio.runtime import Runtime
from temporalio.worker import PollerBehaviorAutoscaling, UnsandboxedWorkflowRunner, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from holdfast._util.background import BackgroundTask, background_tasks
from holdfast._util.logger import get_logger
from holdfast.activities import Dependencies, build_activities
from holdfast.activities.heartbeat import HEARTBEAT_INTERVAL
from holdfast.activities.lifespans import Lifespans
from holdfast.activities.tool_loop import CallerLoop, ToolLoop
from holdfast.agents.catalog import AgentCatalog
from holdfast.agents.shipped.frontend_developer import previews
from holdfast.agents.workspaces import WorkspaceRoots
from holdfast.client.inputs import Inputs
from holdfast.composition.agent_calls import WorkerAgentCalls
from holdfast.composition.deployment import deployment_config, report_version
from holdfast.composition.models import ModelQueues, configured_models, model_access
from holdfast.composition.persistence import converter, open_configured
from holdfast.composition.registry import custom_registry
from holdfast.composition.replay import FAILURES
from holdfast.composition.sandbox import configured_sandbox
from holdfast.composition.telemetry import Observability, observability
from holdfast.composition.worker_options import BUILD_ID, own_queue, workspace_roots
from holdfast.composition.workers import Workers
from holdfast.composition.workspaces import memory_folders, workspace_keeper
from holdfast.errors import StoreLocked, StoreUnavailable, TemporalUnavailable
from holdfast.ops.announcement import Announcement
from holdfast.ops.doctor import Reconciler, Relatives, RunFinder
from holdfast.ops.embedding import EmbeddingWatch
from holdfast.ops.retention.retention import retention
from holdfast.ports import ChatModel
from holdfast.settings import Settings
from holdfast.stack.address import local_address
from holdfast.stack.sockets import is_served_by
from holdfast.storage.memory import Embedding
from holdfast.storage.persistence import Persistence
from holdfast.telemetry.endpoint import check_endpoint
from holdfast.temporal.connection import connect_temporal
from holdfast.temporal.event_topics import TemporalEventTopics
from holdfast.temporal.payload_limits import PayloadLimits
from holdfast.temporal.replayed import BULK_QUERY_TIMEOUTS
from holdfast.temporal.run_log import TemporalRunLog
from holdfast.temporal.stages import TemporalStageReports
from holdfast.temporal.visibility import check_search_attributes
from holdfast.temporal.workflow_runner import ConsistentQueryRunner
from holdfast.tools.mcp.servers import leave_servers
from holdfast.workflows import WORKFLOWS

log = get_logger(__name__)

GRACE = timedelta(seconds=20)  # for calls in flight at shutdown; most model calls end sooner
GARBAGE_THRESHOLD = 5_000  # new objects between two collections; Python's 700 are those of half a turn
OWN_THREADS = 32  # for the worker's own name lookups and files; tools have threads of their own
STICKY_TIMEOUT = timedelta(seconds=1)  # time that a workflow task waits for a worker that was killed
CONNECT_TIMEOUT = 30.0  # seconds to wait for Temporal at start
UNCACHED_TASKS = 1
"""Workflow tasks that a worker without a cache handles at a time. While a run is evicted, Temporal's SDK sets aside the
tasks that arrive for it. It then continues with a query and drops a workflow task that has arrived as well, which
Temporal repeats only after the task's timeout of 10 s. Without a cache every task ends with an eviction."""
PASSED_THROUGH = (
    "_lazy",
    "call_outcome",
    "call_progress",
    "carried",
    "run_context",
    "tool_runs",
    "approval",
    "attachments",
    "media_types",
    "inlining",
    "bounds",
    "budgets",
    "types",
    "model_reply",
    "chat_format",
    "json_schema",
    "errors",
    "event_topics",
    "events",
    "invocations",
    "ports",
    "protocol",
    "estimates",
    "pricing",
    "request_problems",
    "definition",
    "elicitation",
    "server_tools",
    "context",
    "checkpoints",
    "fork_of",
    "workspace_states",
    "workspace_log",
    "forking",
    "names",
    "commands",
    "tags",
    "progress",
    "endings",
    "search_attributes",
    "agents",
)
"""Modules that the sandbox shares with the process: all of Holdfast that workflows import, except themselves."""
SANDBOX = SandboxRestrictions.default.with_passthrough_modules(
    *(f"holdfast.{name}" for name in PASSED_THROUGH), "lazy_loader", "pydantic", "pydantic_core", "structlog"
)


def identity() -> str:
    """Returns the name of this worker in Temporal's UI."""
    return f"holdfast-worker-{os.getpid()}@{socket.gethostname()}"


def build_worker(
    client: Client,
    settings: Settings,
    *,
    catalog: AgentCatalog,
    model: ChatModel,
    persistence: Persistence,
    max_cached_workflows: int = 1000,
    sandboxed: bool = False,
    isolate_tools: bool = False,
    observed: Observability | None = None,
) -> Workers:
    """Creates a worker without running it.

    Args:
        client: connected to the namespace to serve.
        settings: task queue and limits.
        catalog: the agents to serve.
        model: makes the model calls.
        persistence: stores the mirror, the registry, memories and payloads.
        max_cached_workflows: 0 replays a run from its start at each workflow task, which tests use; the worker then
            handles one workflow task at a time.
        sandboxed: run workflows in Temporal's sandbox, which detects nondeterminism; tests use it. Workers do not, as
            it slows down each workflow task and all workflow code is part of Holdfast.
        isolate_tools: run async tools in an event loop of their own, so that one that blocks does not stop the
            worker. Workers do; in tests, tools share the test's event loop and its objects.
        observed: traces and metrics; `None` means that there are none.
    """
    observed = observed or Observability()
    queues, tool_loop = ModelQueues(settings), ToolLoop() if isolate_tools else CallerLoop()
    lifespans = Lifespans(catalog, tool_loop)
    roots = WorkspaceRoots(workspace_roots(settings), settings.holdfast_home)
    limits = PayloadLimits(client.data_converter, settings.max_payload_bytes)
    deps = Dependencies(
        catalog=catalog,
        models=model_access(settings, model, persistence),
        store=persistence.store,
        contents=persistence.contents,
        images=persistence.contents,
        run_log=TemporalRunLog(client),
        limits=limits,
        registry=persistence.registry,
        memories=persistence.memories,
        bus=persistence.bus,
        ledger=persistence.ledger,
        ledger_required=settings.tool_ledger == "require",
        agents=WorkerAgentCalls(client, Inputs(lambda: persistence.contents, limits.max_input_bytes), catalog),
        topics=TemporalEventTopics(client, settings.temporal_task_queue),
        stages=TemporalStageReports(client),
        roots=roots,
        keeper=workspace_keeper(settings, persistence, roots),
        folders=memory_folders(settings, persistence),
        http=settings.http_access,
        default_timeout=settings.agent_execution_timeout,
        max_concurrent_agents=settings.max_concurrent_agents,
        max_tool_calls=settings.max_tool_calls_per_turn,
        max_result=settings.max_tool_result_bytes,
        approval_timeout=settings.approval_timeout,
        tool_loop=tool_loop,
        lifespans=lifespans,
        sandbox=configured_sandbox(settings),
        telemetry=observed.telemetry,
        own_queue=own_queue(settings.temporal_task_queue) if catalog.has_servers() else None,
    )
    activities = build_activities(deps)
    own = {deps.own_queue: None} if deps.own_queue is not None else {}
    deployment = deployment_config(settings)
    runs = Worker(
        client,
        task_queue=settings.temporal_task_queue,
        workflows=WORKFLOWS,
        activities=activities,
        identity=identity(),
        interceptors=observed.interceptors,
        workflow_runner=ConsistentQueryRunner(
            SandboxedWorkflowRunner(SANDBOX) if sandboxed else UnsandboxedWorkflowRunner(), client
        ),
        workflow_failure_exception_types=FAILURES,
        max_cached_workflows=max_cached_workflows,
        max_concurrent_workflow_tasks=None if max_cached_workflows else UNCACHED_TASKS,
        max_concurrent_activities=_max_activities(settings),
        workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
        activity_task_poller_behavior=PollerBehaviorAutoscaling(),
        sticky_queue_schedule_to_start_timeout=STICKY_TIMEOUT,
        max_heartbeat_throttle_interval=HEARTBEAT_INTERVAL,
        default_heartbeat_throttle_interval=HEARTBEAT_INTERVAL,
        graceful_shutdown_timeout=GRACE,
        deployment_config=deployment,
        build_id=None if deployment else BUILD_ID,
    )
    # Not versions of a deployment: each would have a rate of its own, and model calls do not depend on agents' code.
    others = [
        Worker(
            client,
            task_queue=queue,
            activities=activities,
            identity=identity(),
            interceptors=observed.interceptors,
            max_concurrent_activities=_max_activities(settings),
            max_task_queue_activities_per_second=rate,
            activity_task_poller_behavior=PollerBehaviorAutoscaling(),
            max_heartbeat_throttle_interval=HEARTBEAT_INTERVAL,
            default_heartbeat_throttle_interval=HEARTBEAT_INTERVAL,
            graceful_shutdown_timeout=GRACE,
            build_id=BUILD_ID,
        )
        for queue, rate in {**queues.rates, **own}.items()
    ]
    return Workers(client, runs, others, queues.rates, lifespans.close)


def _max_activities(settings: Settings) -> int:
    return max(100, 20 * settings.max_concurrent_agents)


async def serve(settings: Settings, catalog: AgentCatalog) -> None:
    """Runs a worker until SIGTERM or SIGINT, then shuts down: calls in flight may end, and the store is closed.

    Args:
        settings: of the worker.
        catalog: the agents, which were loaded outside of an event loop, as `check` does: a module may use one.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(OWN_THREADS, thread_name_prefix="worker"))
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    with suppress(OSError):  # what needs the folder says so
        settings.holdfast_home.mkdir(mode=0o700, parents=True, exist_ok=True)
    persistence = _persistence(settings)
    client = await _connect(settings, converter(settings, persistence))
    await check_search_attributes(client)
    if version := deployment_config(settings):
        await report_version(client, version)
    async with _adapters(settings, persistence) as model, observability(settings, client) as observed:
        worker = build_worker(
            client,
            settings,
            catalog=catalog,
            model=model,
            persistence=persistence,
            isolate_tools=True,
            observed=observed,
        )
        background = _background_tasks(client, settings, persistence, catalog.names(), observed)
        _relieve_collector()
        async with worker, background_tasks(*background):
            log.info(
                "worker serves",
                task_queue=settings.temporal_task_queue,
                agents=catalog.names(),
                model=settings.default_model,
                store=settings.store_url,
            )
            await stop.wait()
            log.info("worker shuts down, calls in flight may end", seconds=GRACE.seconds)
    log.info("worker has ended")


def _relieve_collector() -> None:
    """Excludes what lives as long as the process, mostly modules, from the collector's rounds."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD, *gc.get_threshold()[1:])


def check(settings: Settings, replaced: int | None = None) -> None:
    """Checks everything that can be checked without a server: the settings, the modules with the agents, and the port.

    Args:
        settings: of the worker.
        replaced: the pid of a worker that ends before this one starts, whose port is free then.

    Raises:
        UsageError: a worker would not start; the message says why.
    """
    port = settings.metrics_port
    if port is not None and not (replaced and is_served_by(replaced, port)):
        check_endpoint(settings.metrics_host, port)
    AgentCatalog.load(settings.holdfast_agents)
    deployment_config(settings)
    _persistence(settings)


def _persistence(settings: Settings) -> Persistence:
    persistence = open_configured(settings)
    custom = custom_registry(settings)
    return persistence if custom is None else replace(persistence, registry=custom)


def _background_tasks(
    client: Client, settings: Settings, persistence: Persistence, agents: Sequence[str], observed: Observability
) -> list[BackgroundTask]:
    """Creates the background tasks of this worker."""
    store, task_queue = persistence.store, settings.temporal_task_queue
    previews.keep_in(settings.holdfast_home / "previews")
    found: list[BackgroundTask] = [EmbeddingWatch(client, task_queue, Embedding(persistence.memories)), previews]
    found += observed.background
    if settings.reconcile_interval:
        finder, run_log = (
            RunFinder(client, task_queue, store),
            TemporalRunLog(client, query_timeouts=BULK_QUERY_TIMEOUTS),
        )
        found.append(
            Reconciler(
                finder,
                store,
                run_log,
                persistence.bus,
                interval=settings.reconcile_interval,
                relatives=Relatives(client),
                telemetry=observed.telemetry,
            )
        )
    if persistence.served is not None and settings.agent_registry is None:
        found.append(Announcement(persistence.served, task_queue, identity(), agents))
    if settings.retention is not None:
        found.append(retention(client, settings.retention, persistence))
    return found


@asynccontextmanager
async def _adapters(settings: Settings, persistence: Persistence) -> AsyncIterator[ChatModel]:
    model = configured_models(settings)
    try:
        await persistence.open()
    except StoreLocked:
        raise
    except StoreUnavailable as error:
        log.warning("store unavailable; runs continue and their mirror catches up", reason=str(error))
    try:
        yield model
    finally:
        await persistence.close()
        await model.close()
        await leave_servers()


async def _connect(settings: Settings, data_converter: DataConverter) -> Client:
    address = settings.temporal_address or local_address(settings.holdfast_home)
    if address is None:
        raise TemporalUnavailable(
            "no Temporal server is known: set TEMPORAL_ADDRESS, or start the local stack with `holdfast up`"
        )
    deadline = asyncio.get_running_loop().time() + CONNECT_TIMEOUT
    while True:
        try:
            return await connect_temporal(
                address,
                settings.temporal_namespace,
                identity=identity(),
                converter=data_converter,
                runtime=Runtime.default(),
            )
        except TemporalUnavailable as error:
            if asyncio.get_running_loop().time() > deadline:
                raise
            log.warning("waiting for Temporal", reason=str(error))
            await asyncio.sleep(1)
