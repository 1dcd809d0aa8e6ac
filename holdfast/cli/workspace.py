"""Where a run works, as its history has it."""

from __future__ import annotations

from pathlib import Path

from temporalio.client import Client

from holdfast.protocol import Plan
from holdfast.types import RunId

LOOKED_AT = 50  # events; the plan is made before the first turn


async def workspace_of(client: Client, run_id: RunId) -> str | None:
    """Absolute path of a run's workspace, on its worker's machine; None when the run never got as far."""
    description = await client.get_workflow_handle(run_id).describe()
    first = description.raw_description.workflow_execution_info.first_run_id
    handle = client.get_workflow_handle(run_id, run_id=first or None)
    prepare = None
    async for event in handle.fetch_history_events(page_size=LOOKED_AT):
        scheduled = event.activity_task_scheduled_event_attributes
        completed = event.activity_task_completed_event_attributes
        if scheduled.activity_type.name == "run.prepare":
            prepare = event.event_id
        elif prepare and completed.scheduled_event_id == prepare:
            [plan] = await client.data_converter.decode(completed.result.payloads, [Plan])
            return str(plan.workspace)
        if event.event_id > LOOKED_AT:
            break
    return None


def absolute(files: list[str], workspace: str | None) -> list[str]:
    """Files of a workspace by their absolute paths; as they are when the workspace is not known."""
    if workspace is None:
        return files

    return [str(Path(workspace) / file) for file in files]
