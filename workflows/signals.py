"""Signals to other workflows, which may have ended."""

from __future__ import annotations

from typing import Any

from temporalio import workflow
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from holdfast.workflows.calls import raise_cancel


async def tell(workflow_id: str, signal: str, *arguments: Any) -> bool:
    """Sends a signal to a workflow, and returns whether it is open.

    Raises:
        CancelledError: the caller was stopped.
    """
    try:
        await workflow.get_external_workflow_handle(workflow_id).signal(signal, args=arguments)
    except FailureError as error:
        raise_cancel(error)
        workflow.logger.info("%s cannot be sent %s: %s", workflow_id, signal, error)
        return False
    return True
