"""Finder of runs, in Temporal and in the mirror."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

from temporalio.client import Client, WorkflowExecution

from holdfast.ports import Store
from holdfast.temporal.connection import translated_errors
from holdfast.temporal.executions import quoted
from holdfast.temporal.run_log import ENDED
from holdfast.types import RunId, RunStatus

PAGE = 500  # ids read from the mirror at once


class RunFinder:
    """Finds runs.

    Args:
        client: connected to the namespace of the runs.
        task_queue: only its runs are found; runs of other queues may have another mirror.
        store: the mirror.
    """

    def __init__(self, client: Client, task_queue: str, store: Store) -> None:
        self._client = client
        self._queue = task_queue
        self._store = store

    async def all_runs(self, since: datetime | None = None) -> AsyncIterator[RunId]:
        """Yields every run once: those that Temporal knows, newest first, then those that only the mirror has.

        Args:
            since: only runs that started then or later.
        """
        known: set[RunId] = set()
        conditions = [f"StartTime >= '{_moment(since)}'"] if since else []
        async for run_id in self._listed(*conditions):
            if run_id not in known:  # a page may shift while it is read
                known.add(run_id)
                yield run_id
        async for run_id in self.mirrored():
            if run_id not in known and await self._started(run_id, since):
                yield run_id

    async def mirrored(self, *, unfinished: bool = False) -> AsyncIterator[RunId]:
        """Yields the runs in the mirror, or only those without a final status."""
        after: RunId | None = None
        while True:
            page = await self._store.run_ids(after, PAGE, unfinished=unfinished)
            for run_id in page:
                yield run_id
            if len(page) < PAGE:
                return
            after = page[-1]

    async def running(self) -> set[RunId]:
        """Returns the runs that are open in Temporal, of any task queue, as several may share a mirror."""
        return {execution.id async for execution in self._executions("ExecutionStatus = 'Running'")}

    async def unrecorded_ends(self, since: datetime | None) -> AsyncIterator[tuple[RunId, RunStatus | None]]:
        """Yields closed executions that did not record their end: terminated, timed out by the server, or never begun.

        The run may have another execution by now, after a reset.

        Args:
            since: only those that closed then or later.
        """
        words = ", ".join(f"'{word.value}'" for word in RunStatus if not word.is_final)
        conditions = [
            f"TaskQueue = {quoted(self._queue)}",
            "ExecutionStatus != 'Running'",
            f"(ExecutionStatus IN ('Terminated', 'TimedOut') OR AgentStatus IS NULL OR AgentStatus IN ({words}))",
        ]
        if since:
            conditions.append(f"CloseTime >= '{_moment(since)}'")
        async for execution in self._executions(*conditions):
            yield execution.id, ENDED.get(execution.status) if execution.status else None

    async def _listed(self, *conditions: str) -> AsyncIterator[RunId]:
        async for execution in self._executions(f"TaskQueue = {quoted(self._queue)}", *conditions):
            yield execution.id

    async def _executions(self, *conditions: str) -> AsyncIterator[WorkflowExecution]:
        ours = ("WorkflowType = 'AgentRun'", "ExecutionStatus != 'ContinuedAsNew'")
        with translated_errors():
            async for execution in self._client.list_workflows(" AND ".join((*ours, *conditions))):
                yield execution

    async def _started(self, run_id: RunId, since: datetime | None) -> bool:
        if since is None:
            return True
        run = await self._store.run(run_id)
        return run is not None and run.summary.started_at >= since


def _moment(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
