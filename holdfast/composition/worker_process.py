"""The process of a worker: what it connects, the background tasks, and its end."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from temporalio.client import Client
from temporalio.converter import DataConverter
from temporalio.runtime import Runtime

from holdfast._util.background import BackgroundTask, background_tasks
from holdfast._util.logger import get_logger
from holdfast.agents.catalog import AgentCatalog
from holdfast.agents.shipped.frontend_developer import previews
from holdfast.composition.deployment import deployment_config, report_version
from holdfast.composition.models import configured_models
from holdfast.composition.persistence import converter, open_configured
from holdfast.composition.registry import custom_registry
from holdfast.composition.telemetry import Observability, observability
from holdfast.composition.worker import GRACE, build_worker, identity
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
from holdfast.temporal.replayed import BULK_QUERY_TIMEOUTS
from holdfast.temporal.run_log import TemporalRunLog
from holdfast.temporal.visibility import check_search_attributes
from holdfast.tools.mcp.servers import leave_servers

log = get_logger(__name__)

GARBAGE_THRESHOLD = 5_000  # new objects between two collections; Python's 700 are those of half a turn
OWN_THREADS = 32  # for the worker's own name lookups and files; tools have threads of their own
CONNECT_TIMEOUT = 30.0  # seconds to wait for Temporal at start


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
