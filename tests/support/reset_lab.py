"""A lab whose runs are reset, with what observes them."""

from __future__ import annotations

import uuid

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest

from holdfast.ops.doctor import Reconciler, RunFinder, Verdict, Verifier
from holdfast.temporal.run_log import TemporalRunLog
from holdfast.types import RunId, RunStatus
from tests.support.lab import Lab

HOUR = 3600.0  # seconds; rounds that a test makes itself


class ResetLab:
    """A lab with what observes its runs."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.log = TemporalRunLog(lab.client)

    async def reset(self, run_id: RunId, task: int, execution: str | None = None) -> None:
        """Resets a run to its workflow task with this number, as the button in Temporal's UI does.

        Args:
            run_id: the run.
            task: from 0; a negative one counts from the end.
            execution: Temporal's id of one of its executions; None: the newest.
        """
        handle = self.lab.client.get_workflow_handle(run_id, run_id=execution)
        tasks = [
            event.event_id
            async for event in handle.fetch_history_events()
            if event.HasField("workflow_task_completed_event_attributes")
        ]
        await self.lab.client.workflow_service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(
                namespace=self.lab.client.namespace,
                workflow_execution=WorkflowExecution(workflow_id=run_id, run_id=(await handle.describe()).run_id),
                reason="another model",
                workflow_task_finish_event_id=tasks[task],
                request_id=str(uuid.uuid4()),
            )
        )

    async def verdict(self, run_id: RunId) -> Verdict:
        """The doctor's findings about every row."""
        return (await Verifier(self.lab.store, self.log).verify(run_id)).verdict

    def reconciler(self) -> Reconciler:
        """A worker's reconciler."""
        finder = RunFinder(self.lab.client, self.lab.settings.temporal_task_queue, self.lab.store)
        return Reconciler(finder, self.lab.store, self.log, self.lab.bus, interval=HOUR)

    async def listed(self, run_id: RunId, status: RunStatus | None = None) -> list[RunStatus]:
        """The statuses with which the list shows a run."""
        return [found.status async for found in self.lab.holdfast.list(status=status) if found.run_id == run_id]
