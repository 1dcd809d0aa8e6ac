"""State of runs in Temporal, read without a worker."""

from __future__ import annotations

import enum
from datetime import UTC, datetime, timedelta

from temporalio.client import Client, WorkflowExecutionStatus

from holdfast.errors import RunNotFound
from holdfast.temporal.connection import translated_errors
from holdfast.temporal.run_log import TemporalRunLog
from holdfast.types import RunId

BEGINNING = datetime(2020, 1, 1, tzinfo=UTC)  # earlier than any history


class ExecutionState(enum.Enum):
    """State of a run in Temporal."""

    OPEN = "open"
    """It is active, or its mirror is being completed."""
    CLOSED = "closed"
    UNKNOWN = "unknown"
    """Temporal has no history of it."""


class Executions:
    """Reads the state of runs from Temporal.

    Args:
        client: connected to the namespace of the runs.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._log = TemporalRunLog(client)

    async def state(self, run_id: RunId) -> ExecutionState:
        """Returns the state of a run's newest execution.

        Raises:
            TemporalUnavailable: Temporal does not answer.
        """
        try:
            description = await self._log.describe(run_id)
        except RunNotFound:
            return ExecutionState.UNKNOWN
        is_open = description.status == WorkflowExecutionStatus.RUNNING or await self._log.is_catching_up(run_id)
        return ExecutionState.OPEN if is_open else ExecutionState.CLOSED

    async def earliest_start_bound(self, moment: datetime) -> datetime:
        """Returns a time, `moment` or earlier, before which no execution started whose history still exists.

        Searches backwards in steps that double, as Temporal cannot be asked for its oldest execution.

        Raises:
            TemporalUnavailable: Temporal does not answer.
        """
        step = timedelta(days=1)
        while moment > BEGINNING and await self._has_begun_before(moment):
            moment, step = moment - step, step * 2
        return moment

    async def _has_begun_before(self, moment: datetime) -> bool:
        with translated_errors():
            found = await self._client.count_workflows(f"StartTime < '{moment.isoformat(timespec='milliseconds')}'")
        return found.count > 0
