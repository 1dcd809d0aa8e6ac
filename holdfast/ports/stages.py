"""The port by which calls of tools tell their run which stage they have entered."""

from __future__ import annotations

from typing import Protocol

from holdfast.call_progress import ToolProgress


class StageReports(Protocol):
    """Tells runs of stages."""

    async def entered(self, run_id: str, execution: str, report: ToolProgress) -> None:
        """Tells a run that one of its calls has entered a stage.

        Args:
            run_id: the run.
            execution: Temporal's id of the execution that has made the call.
            report: of the call.

        Raises:
            RunNotFound: the execution has ended.
            TemporalUnavailable: the server is unavailable.
        """
