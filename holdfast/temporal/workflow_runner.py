"""Runs workflows so that no query takes a run further than its workflow tasks have."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.converter import SerializationContext, StorageDriverStoreContext
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner
from temporalio.workflow import Info

from holdfast.errors import NOT_YET

NO_EVENTS = {"query_workflow", "notify_has_patch", "remove_from_cache"}  # jobs that bring nothing that has happened
TIME_TO_ASK = timedelta(seconds=1)  # a second before Temporal takes the workflow for stuck


class FaithfulRunner(WorkflowRunner):
    """Refuses queries that would have a run act upon events before a workflow task has brought them.

    A query that waited for a worker comes with all the history that there is by then. The SDK applies all of it, events
    that no workflow task has brought yet included, and keeps the workflow in memory as it is then. To the run those
    events happen at the time of the workflow task before them, and apart from what the next one brings: it would record
    other times than each later replay, and might make its calls in another order.

    So such a query fails, with a message that says to ask again, and the workflow is forgotten. Where the run is closed
    there will be no workflow task, each replay has the same times, and the query is answered.

    Args:
        runner: runs the workflows.
        client: tells whether a run is closed.
    """

    def __init__(self, runner: WorkflowRunner, client: Client) -> None:
        self._runner = runner
        self._client = client

    def prepare_workflow(self, defn: object) -> None:
        """See `WorkflowRunner`."""
        self._runner.prepare_workflow(defn)  # type: ignore[arg-type]

    def set_worker_level_failure_exception_types(self, types: Sequence[type[BaseException]]) -> None:
        """See `WorkflowRunner`."""
        self._runner.set_worker_level_failure_exception_types(types)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """See `WorkflowRunner`; called in the worker's loop."""
        loop = asyncio.get_running_loop()
        run = self._client.get_workflow_handle(det.info.workflow_id, run_id=det.info.run_id)

        def is_open() -> bool:
            asked = asyncio.run_coroutine_threadsafe(run.describe(rpc_timeout=TIME_TO_ASK), loop)
            try:
                return asked.result(TIME_TO_ASK.total_seconds()).status == WorkflowExecutionStatus.RUNNING
            except Exception:  # noqa: BLE001 - whatever keeps it from being known, the query can be asked again
                return True

        return _Instance(self._runner.create_instance(det), is_open)


class _Instance(WorkflowInstance):
    def __init__(self, instance: WorkflowInstance, is_open: Callable[[], bool]) -> None:
        self._instance = instance
        self._is_open = is_open
        self._task: tuple[int, int] | None = None
        """When the newest workflow task began, in ns, and how many events there were."""

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        ahead = self._is_ahead(act)
        self._task = (act.timestamp.ToNanoseconds(), act.history_length)
        return _refusal(act) if ahead and self._is_open() else self._instance.activate(act)

    def get_serialization_context(self, command_info: Any) -> SerializationContext | None:
        return self._instance.get_serialization_context(command_info)

    def get_external_store_context(self, command_info: Any) -> StorageDriverStoreContext:
        return self._instance.get_external_store_context(command_info)

    def get_info(self) -> Info:
        return self._instance.get_info()

    def get_thread_id(self) -> int | None:
        return self._instance.get_thread_id()

    def _is_ahead(self, act: WorkflowActivation) -> bool:
        """Whether there are new events at the time of an old workflow task: a new one would have its own."""
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
