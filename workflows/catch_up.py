"""The start of a `MirrorCatchUp` workflow, which writes the mirror of a run that has ended."""

from __future__ import annotations

import contextlib

from temporalio import workflow
from temporalio.exceptions import WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from holdfast import names
    from holdfast.bounds import shortened
    from holdfast.workflows.calls import SUMMARY_CHARS


async def leave_to_catch_up(run_id: str) -> None:
    """Leaves the mirror of a run to a workflow that waits until the store is back."""
    with contextlib.suppress(WorkflowAlreadyStartedError):  # by an execution before a reset; it reads the newest
        await workflow.start_child_workflow(
            names.MIRROR_CATCH_UP,
            run_id,
            id=names.catch_up_id(run_id),
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            static_summary=shortened(f"the mirror of {run_id}, once the store is back", SUMMARY_CHARS),
        )
