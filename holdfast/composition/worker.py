"""Construction of workers from the settings."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.worker import PollerBehaviorAutoscaling, UnsandboxedWorkflowRunner, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from holdfast.activities import Dependencies, build_activities
from holdfast.activities.heartbeat import HEARTBEAT_INTERVAL
from holdfast.activities.lifespans import Lifespans
from holdfast.activities.tool_loop import CallerLoop, ToolLoop
from holdfast.agents.catalog import AgentCatalog
from holdfast.composition.agent_calls import WorkerAgentCalls
from holdfast.composition.code_worker import code_dependencies
from holdfast.composition.deployment import deployment_config
from holdfast.composition.models import ModelQueues
from holdfast.composition.replay import FAILURES
from holdfast.composition.telemetry import Observability
from holdfast.composition.worker_options import BUILD_ID
from holdfast.composition.workers import Workers
from holdfast.ports import ChatModel
from holdfast.settings import Settings
from holdfast.storage.persistence import Persistence
from holdfast.temporal.run_log import TemporalRunLog
from holdfast.temporal.workflow_runner import ConsistentQueryRunner
from holdfast.workflows.registered import WORKFLOWS

GRACE = timedelta(seconds=20)  # for calls in flight at shutdown; most model calls end sooner
STICKY_TIMEOUT = timedelta(seconds=1)  # time that a workflow task waits for a worker that was killed
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
    "fault_reason",
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
    tool_loop = ToolLoop() if isolate_tools else CallerLoop()
    lifespans = Lifespans(catalog, tool_loop)
    code = code_dependencies(
        client,
        settings,
        persistence,
        queue=settings.temporal_task_queue,
        catalog=catalog,
        model=model,
        agents=lambda inputs: WorkerAgentCalls(client, inputs, catalog),
        loop=tool_loop,
        lifespans=lifespans,
        images=persistence.contents,
        observed=observed,
    )
    activities = build_activities(
        Dependencies(
            code=code,
            run_log=TemporalRunLog(client),
            registry=persistence.registry,
            default_timeout=settings.agent_execution_timeout,
            max_concurrent_agents=settings.max_concurrent_agents,
            max_tool_calls=settings.max_tool_calls_per_turn,
            approval_timeout=settings.approval_timeout,
        )
    )
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
    rates = ModelQueues(settings).rates
    queues = {**rates, code.own_queue: None} if code.own_queue is not None else rates
    others = [
        _further_worker(client, settings, activities, observed, queue=queue, rate=rate)
        for queue, rate in queues.items()
    ]
    return Workers(client, runs, others, rates, lifespans.close)


def _further_worker(
    client: Client,
    settings: Settings,
    activities: Sequence[Callable[..., Any]],
    observed: Observability,
    *,
    queue: str,
    rate: float | None,
) -> Worker:
    """Returns a worker of a further task queue.

    It is not a version of a deployment: each would have a rate of its own, and model calls do not depend on the code
    of agents.
    """
    return Worker(
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


def _max_activities(settings: Settings) -> int:
    return max(100, 20 * settings.max_concurrent_agents)
