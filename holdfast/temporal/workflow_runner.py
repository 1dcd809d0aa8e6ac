"""Workflow runner that keeps queries from advancing a run ahead of its workflow tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner
from typing_extensions import override

from holdfast.errors import NOT_YET
from holdfast.temporal.activation_order import activate_in_order
from holdfast.temporal.delegating_runner import DelegatingInstance, DelegatingRunner

NO_EVENTS = {"query_workflow", "notify_has_patch", "remove_from_cache"}  # jobs without new events
DESCRIBE_TIMEOUT = timedelta(seconds=1)  # Temporal considers a workflow deadlocked after 2 s


class ConsistentQueryRunner(DelegatingRunner):
    """Rejects queries that would apply events before a workflow task has delivered them.

    A query that waited for a worker arrives with the whole history up to then. The SDK applies all of it, including
    events that no workflow task has delivered yet, and caches the workflow in that state. For the run, those events
    have the time of the previous workflow task and are separate from the rest of the next one. It would record other
    times than each later replay, and might schedule its calls in another order.

    Such a query therefore fails with a message that asks to repeat it, and the workflow is evicted from the cache. A
    closed run has no further workflow task and each replay has the same times, so its queries are answered.

    It also makes the order of results and updates the same for live workers and replays.

    Args:
        runner: runs the workflows.
        client: reads whether a run is closed.
    """

    def __init__(self, runner: WorkflowRunner, client: Client) -> None:
        super().__init__(runner)
        self._client = client

    @override
    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        loop = asyncio.get_running_loop()  # of the worker
        run = self._client.get_workflow_handle(det.info.workflow_id, run_id=det.info.run_id)

        def is_open() -> bool:
            asked = asyncio.run_coroutine_threadsafe(run.describe(rpc_timeout=DESCRIBE_TIMEOUT), loop)
            try:
                return asked.result(DESCRIBE_TIMEOUT.total_seconds()).status == WorkflowExecutionStatus.RUNNING
            except Exception:  # noqa: BLE001 - on any error the query can be repeated
                return True

        return _Instance(self._runner.create_instance(det), is_open)


class _Instance(DelegatingInstance):
    def __init__(self, instance: WorkflowInstance, is_open: Callable[[], bool]) -> None:
        super().__init__(instance)
        self._is_open = is_open
        self._task: tuple[int, int] | None = None
        """Start of the newest workflow task, in ns, and the number of events then."""

    @override
    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        ahead = self._is_ahead(act)
        self._task = (act.timestamp.ToNanoseconds(), act.history_length)
        return _refusal(act) if ahead and self._is_open() else activate_in_order(self._instance.activate, act)

    def _is_ahead(self, act: WorkflowActivation) -> bool:
        """Returns whether there are new events without a new workflow task, which would have a later start."""
        if self._task is None or act.is_replaying:
            return False
        began, events = self._task
        return (
            act.timestamp.ToNanoseconds() == began
            and act.history_length > events
            and any(job.WhichOneof("variant") not in NO_EVENTS for job in act.jobs)
        )


def _refusal(act: WorkflowActivation) -> WorkflowActivationCompletion:
    completion = WorkflowActivationCompletion(run_id=act.run_id)
    completion.failed.failure.message = NOT_YET
    completion.failed.failure.application_failure_info.SetInParent()
    return completion
