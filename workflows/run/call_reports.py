"""Reports of the calls of a run on their progress: the part of its state that has the newest ones."""

from __future__ import annotations

from datetime import datetime

from holdfast.call_progress import ToolProgress
from holdfast.types import ToolCall, ToolResult
from holdfast.workflows.run.entry_data import plain
from holdfast.workflows.run.waiting import Waiting


class CallReports(Waiting):
    """The newest stage and the newest report; entering a stage is an entry."""

    pending_calls: list[ToolCall]

    reported: ToolProgress | None = None
    """What a call has reported last: at its end, or when it entered a stage."""
    stage: ToolProgress | None = None
    """The report with which a call has entered a stage last."""

    def enter_stage(self, now: datetime, report: ToolProgress) -> bool:
        """Records that a call has entered a stage, and returns whether that is so and new.

        A report may come late: after the result of its call, or after the turn.
        """
        is_open = report.turn == self.turns and any(call.id == report.call for call in self.pending_calls)
        is_new = self.stage is None or (report.call, report.stage) != (self.stage.call, self.stage.stage)
        if report.stage is None or not (is_open and is_new):
            return False
        self.reported = self.stage = report
        self._record("stage", now, plain(report) | {"stage": report.stage})
        return True

    def note_report(self, call: ToolCall, result: ToolResult) -> None:
        """Takes note of what a call reported last, which its result tells."""
        if result.progress is not None:
            self.reported = ToolProgress(turn=self.turns, tool=call.name, call=call.id, **plain(result.progress))
            if self.reported.stage is not None:
                self.stage = self.reported
