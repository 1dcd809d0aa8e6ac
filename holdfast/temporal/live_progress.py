"""The progress of tool calls in flight, read from their heartbeats."""

from __future__ import annotations

from pydantic import ValidationError
from temporalio.client import WorkflowExecutionDescription
from temporalio.converter import DataConverter

from holdfast import names
from holdfast.call_progress import ToolProgress
from holdfast.errors import HoldfastError


async def live_progress(description: WorkflowExecutionDescription, converter: DataConverter) -> list[ToolProgress]:
    """Returns the newest report of each call in flight; a call that reports nothing has none.

    Args:
        description: of the run.
        converter: decodes the heartbeats.
    """
    found = []
    for pending in description.raw_description.pending_activities:
        if pending.activity_type.name.startswith(names.TOOL_PREFIX) and pending.heartbeat_details.payloads:
            try:
                [progress] = await converter.decode(pending.heartbeat_details.payloads, [ToolProgress])
            except (ValidationError, ValueError, RuntimeError, HoldfastError):  # another program may serve the tool
                continue
            found.append(progress)
    return found
