"""What Temporal itself knows of runs, for whoever wants to drop them; needs no worker."""

from __future__ import annotations

import enum
from datetime import UTC, datetime, timedelta

from temporalio.client import Client, WorkflowExecutionStatus

from holdfast.errors import RunNotFound
from holdfast.temporal.connection import translated_errors
from holdfast.temporal.run_log import TemporalRunLog
from holdfast.types import RunId

BEGINNING = datetime(2020, 1, 1, tzinfo=UTC)  # no history is older


class Life(enum.Enum):
    """Where a run stands in Temporal."""

    OPEN = "open"
    """It goes on, or its mirror is being completed."""
    CLOSED = "closed"
    UNKNOWN = "unknown"
    """Its history is gone, or never was there."""


class Executions:
    """Asks Temporal.

    Args:
        client: connected to the namespace of the runs.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._log = TemporalRunLog(client)

    async def life(self, run_id: RunId) -> Life:
        """Where a run stands, by its newest execution.

        Raises:
            TemporalUnavailable: Temporal does not answer.
        """
        try:
            description = await self._log.describe(run_id)
        except RunNotFound:
            return Life.UNKNOWN
        is_open = description.status == WorkflowExecutionStatus.RUNNING or await self._log.is_catching_up(run_id)
        return Life.OPEN if is_open else Life.CLOSED

    async def nothing_before(self, moment: datetime) -> datetime:
        """A moment up to `moment` before which no execution began whose history is still there.

        It goes back in steps that double, as there is no way to ask for the oldest.

        Raises:
            TemporalUnavailable: Temporal does not answer.
        """
        step = timedelta(days=1)
        while moment > BEGINNING and await self._has_begun_before(moment):
            moment, step = moment - step, step * 2
        return moment

    async def _has_begun_before(self, moment: datetime) -> bool:
        with translated_errors("any"):
            found = await self._client.count_workflows(f"StartTime < '{moment.isoformat(timespec='milliseconds')}'")
        return found.count > 0
