"""A background task that measures how many runs are open."""

from __future__ import annotations

import asyncio

from temporalio.client import Client
from temporalio.common import MetricMeter

from holdfast._util.background import repeat
from holdfast.telemetry import metric_names as names
from holdfast.temporal.executions import quoted
from holdfast.types import RunStatus

INTERVAL = 15.0  # seconds, as Prometheus scrapes by default


class OpenRuns:
    """Counts the open runs of a task queue by status, in Temporal's visibility store.

    Each worker of a task queue reports the same numbers.

    Args:
        client: connected to the namespace of the runs.
        task_queue: of the runs.
        meter: receives the numbers.
    """

    def __init__(self, client: Client, task_queue: str, meter: MetricMeter) -> None:
        self._client = client
        self._task_queue = task_queue
        self._gauge = meter.create_gauge(names.OPEN_RUNS, "Open runs of the task queue, by status")

    async def run(self) -> None:
        """Counts until it is cancelled."""
        await repeat(self._count, interval=INTERVAL, what="counting open runs")

    async def _count(self) -> None:
        statuses = [status for status in RunStatus if not status.is_final]
        counts = await asyncio.gather(*map(self._number, statuses))
        for status, count in zip(statuses, counts, strict=True):
            self._gauge.set(count, {names.STATUS: status.value})

    async def _number(self, status: RunStatus) -> int:
        found = await self._client.count_workflows(
            f"WorkflowType = 'AgentRun' AND ExecutionStatus = 'Running' AND TaskQueue = {quoted(self._task_queue)} "
            f"AND AgentStatus = '{status.value}'"
        )
        return found.count
