"""Which runs there are: in Temporal, and in the mirror."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

from temporalio.client import Client

from holdfast.ports import Store
from holdfast.temporal.connection import translated_errors
from holdfast.types import RunId, RunStatus

PAGE = 500  # ids that the mirror is asked for at once


class RunFinder:
    """Finds runs.

    Args:
        client: connected to the namespace of the runs.
        task_queue: whose runs; others have another mirror, as far as one can know.
        store: the mirror.
    """

    def __init__(self, client: Client, task_queue: str, store: Store) -> None:
        self._client = client
        self._queue = task_queue
        self._store = store

    async def everywhere(self, since: datetime | None = None) -> AsyncIterator[RunId]:
        """Every run once: those that Temporal knows, newest first, then those that only the mirror has.

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
        """The runs that the mirror has; or those of them that it does not know to have ended."""
        after: RunId | None = None
        while True:
            page = await self._store.run_ids(after, PAGE, unfinished=unfinished)
            for run_id in page:
                yield run_id
            if len(page) < PAGE:
                return
            after = page[-1]

    async def running(self) -> set[RunId]:
        """The runs that Temporal has open."""
        return {run_id async for run_id in self._listed("ExecutionStatus = 'Running'")}

    async def ended_silently(self, since: datetime | None) -> AsyncIterator[RunId]:
        """Closed runs that did not come to say so: terminated, timed out by the server, never begun.

        Args:
            since: only those that were closed then or later.
        """
        words = ", ".join(f"'{word.value}'" for word in RunStatus if not word.is_final)
        conditions = [
            "ExecutionStatus != 'Running'",
            f"(ExecutionStatus IN ('Terminated', 'TimedOut') OR AgentStatus IS NULL OR AgentStatus IN ({words}))",
        ]
        if since:
            conditions.append(f"CloseTime >= '{_moment(since)}'")
        async for run_id in self._listed(*conditions):
            yield run_id

    async def _listed(self, *conditions: str) -> AsyncIterator[RunId]:
        ours = (
            "WorkflowType = 'AgentRun'",
            f"TaskQueue = {_quoted(self._queue)}",
            "ExecutionStatus != 'ContinuedAsNew'",
        )
        with translated_errors("any"):
            async for execution in self._client.list_workflows(" AND ".join((*ours, *conditions))):
                yield execution.id

    async def _started(self, run_id: RunId, since: datetime | None) -> bool:
        if since is None:
            return True
        run = await self._store.run(run_id)
        return run is not None and run.summary.started_at >= since


def _moment(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
