"""`MirrorCatchUp`: completes the mirror of an ended run once the store is available."""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from holdfast import names
    from holdfast.errors import ErrorType
    from holdfast.types import RunId, TranscriptRef
    from holdfast.workflows.calls import call_activity
    from holdfast.workflows.options import STORE_REBUILD


@workflow.defn(name=names.MIRROR_CATCH_UP)
class MirrorCatchUp:
    """Started by a run that ended while its store was unavailable; retries without a limit."""

    @workflow.run
    async def run(self, run_id: RunId) -> TranscriptRef:
        """Writes the run's whole log to the mirror and returns the newest entry.

        Raises:
            ApplicationError: `run_id` is not a run id.
        """
        if (
            not isinstance(run_id, str) or not 0 < len(run_id.encode()) <= names.MAX_WORKFLOW_ID
        ):  # Temporal checks nothing
            raise ApplicationError(
                f"the input of MirrorCatchUp is {run_id!r:.80}; it must be the id of a run, as a JSON string",
                type=ErrorType.INVALID_REQUEST,
                non_retryable=True,
            )
        return await call_activity(
            names.MIRROR_REBUILD, run_id, TranscriptRef, summary=f"the mirror of {run_id}", **STORE_REBUILD
        )
