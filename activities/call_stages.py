"""The stages of one call, told to its run: seldom enough that they are a small part of its history."""

from __future__ import annotations

import asyncio

from holdfast._util.logger import get_logger
from holdfast.call_progress import ToolProgress
from holdfast.errors import HoldfastError
from holdfast.ports.stages import StageReports

log = get_logger(__name__)

FIRST_DELAY = 0.3  # seconds; a call that has ended by then tells its last stage with its result
INTERVAL = 1.0  # seconds between two signals of a call, each of which is three events of the run's history
LONG_INTERVAL = 30.0  # seconds, after OFTEN signals: a call of hours must not fill the history
OFTEN = 20


class CallStages:
    """Tells a run each stage of a call, or the newest one if they follow each other faster.

    Args:
        reports: tells the run.
        run_id: the run.
        execution: Temporal's id of its execution.
    """

    def __init__(self, reports: StageReports, run_id: str, execution: str) -> None:
        self._reports = reports
        self._run_id = run_id
        self._execution = execution
        self._told: str | None = None
        self._newest: ToolProgress | None = None
        self._sent = 0
        self._task: asyncio.Task[None] | None = None

    def enter(self, report: ToolProgress) -> None:
        """Takes note of a report, of which only the stage counts; returns at once."""
        self._newest = report
        if self._news and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._tell())

    async def close(self) -> None:
        """Tells nothing more, as the call has ended."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    @property
    def _news(self) -> ToolProgress | None:
        """The newest report, if the run does not know its stage."""
        newest = self._newest
        return newest if newest is not None and newest.stage not in (None, self._told) else None

    async def _tell(self) -> None:
        delay = FIRST_DELAY if not self._sent else 0.0
        while True:
            await asyncio.sleep(delay)
            if (report := self._news) is None:
                return
            self._sent += 1
            try:
                await self._reports.entered(self._run_id, self._execution, report)
            except HoldfastError as error:  # the result of the call has its last stage
                log.debug("the stage of a tool was not told to its run", tool=report.tool, reason=str(error))
            except Exception:
                log.exception("the stage of a tool cannot be told to its run")
            self._told = report.stage
            delay = INTERVAL if self._sent < OFTEN else LONG_INTERVAL
