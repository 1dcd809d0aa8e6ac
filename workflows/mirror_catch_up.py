"""MirrorCatchUp: brings the mirror of a run that has ended up to date, once the store is back."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from holdfast.types import RunId, TranscriptRef
    from workflows.options import STORE_REBUILD


@workflow.defn(name="MirrorCatchUp")
class MirrorCatchUp:
    """Started by a run that ended while its store was away; as patient as it needs to be."""

    @workflow.run
    async def run(self, run_id: RunId) -> TranscriptRef:
        """Writes the run's whole log to the mirror; gives the newest entry."""
        newest: TranscriptRef = await workflow.execute_activity(
            "store.rebuild", run_id, result_type=TranscriptRef, summary=f"the mirror of {run_id}", **STORE_REBUILD
        )
        return newest
