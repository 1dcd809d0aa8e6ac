"""The stages of tool calls, as signals to their run."""

from __future__ import annotations

from temporalio.client import Client
from typing_extensions import override

from holdfast import names
from holdfast.call_progress import ToolProgress
from holdfast.ports.stages import StageReports
from holdfast.temporal.connection import translated_errors


class TemporalStageReports(StageReports):
    """Signals the execution that has made the call.

    Args:
        client: connected to the namespace of the runs.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    @override
    async def entered(self, run_id: str, execution: str, report: ToolProgress) -> None:
        with translated_errors(run_id):
            await self._client.get_workflow_handle(run_id, run_id=execution).signal(names.SIGNAL_STAGE, report)
