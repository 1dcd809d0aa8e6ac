"""Deletion of runs that ended long ago, with everything that only they refer to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from holdfast.ops.doctor.recorded_log import UNREADABLE
from holdfast.ops.retention.executions import Executions, ExecutionState
from holdfast.ports import Store
from holdfast.ports.ledger import Ledger
from holdfast.ports.workspaces import FileStore
from holdfast.types import MirroredRun, RunId, RunStatus

PAGE = 200  # runs read from the mirror at once


@dataclass(frozen=True)
class Prunable:
    """A run that can be deleted."""

    run: MirroredRun

    @property
    def entries(self) -> int:
        """Its number of entries."""
        return self.run.head.seq + 1


@dataclass(frozen=True)
class Retained:
    """A run that is as old but is retained."""

    run_id: RunId
    reason: str


class Pruner:
    """Finds old runs and deletes them one by one.

    A run is deleted only if its status in the mirror is final and Temporal, if it is consulted, does not have it open.
    Pruning may be interrupted at any point, and several processes may prune at the same time.

    Args:
        store: the mirror.
        executions: state of runs in Temporal; `None` means that the mirror alone decides.
        keep: runs with these statuses are retained.
        ledger: the tool calls of the runs, which are deleted with them.
        files: the files of their workspaces, which nothing needs any more that only these runs have.
    """

    def __init__(
        self,
        store: Store,
        executions: Executions | None,
        keep: frozenset[RunStatus] = frozenset(),
        *,
        ledger: Ledger | None = None,
        files: FileStore | None = None,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._files = files
        self._executions = executions
        self._keep = keep

    async def find(self, before: datetime) -> AsyncIterator[Prunable | Retained]:
        """Yields the runs that ended before a moment, and older ones whose mirror and history disagree about the end.

        Raises:
            Unavailable: the mirror or Temporal is unavailable.
        """
        async for run in self._runs():
            if isinstance(run, Retained):
                yield run
            elif found := await self._judge(run, before):
                yield found

    async def drop(self, prunable: Prunable) -> bool:
        """Deletes a run unless it has changed or is open again; returns whether it was deleted.

        Raises:
            Unavailable: the mirror or Temporal is unavailable.
        """
        run_id = prunable.run.summary.run_id
        if await self._state(run_id) == ExecutionState.OPEN:
            return False
        await self._store.delete(run_id, seen=prunable.run.head)
        if await self._store.head(run_id) is not None:
            return False
        if self._ledger is not None:
            await self._ledger.delete(run_id, prunable.run.chain)
        if self._files is not None:
            await self._files.release(run_id)
        return True

    async def _judge(self, run: MirroredRun, before: datetime) -> Prunable | Retained | None:
        summary = run.summary
        if summary.status.is_final:
            is_old = summary.finished_at is not None and summary.finished_at < before
            if not is_old or summary.status in self._keep:
                return None
            if await self._state(summary.run_id) == ExecutionState.OPEN:
                return Retained(
                    summary.run_id,
                    f"its status in the mirror is {summary.status.value}, but it is still open in Temporal",
                )
            return Prunable(run)
        if summary.started_at >= before or self._executions is None:
            return None
        state = await self._state(summary.run_id)
        return None if state == ExecutionState.OPEN else Retained(summary.run_id, _lost(summary.status, state))

    async def _state(self, run_id: RunId) -> ExecutionState:
        return ExecutionState.UNKNOWN if self._executions is None else await self._executions.state(run_id)

    async def _runs(self) -> AsyncIterator[MirroredRun | Retained]:
        after: RunId | None = None
        while page := await self._page(after):
            for run in page.values():
                if run is not None:
                    yield run
            after = list(page)[-1]  # not after that many runs: others may begin meanwhile

    async def _page(self, after: RunId | None) -> dict[RunId, MirroredRun | Retained | None]:
        """Returns the next runs by id; `None` stands for one that was deleted meanwhile."""
        try:
            return {run.summary.run_id: run for run in await self._store.runs(after, PAGE)}
        except UNREADABLE:
            return {run_id: await self._one(run_id) for run_id in await self._store.run_ids(after, PAGE)}

    async def _one(self, run_id: RunId) -> MirroredRun | Retained | None:
        try:
            return await self._store.run(run_id)
        except UNREADABLE as error:
            return Retained(run_id, f"its row cannot be read: {error}")


def _lost(status: RunStatus, state: ExecutionState) -> str:
    in_temporal = "closed in Temporal" if state == ExecutionState.CLOSED else "unknown to Temporal"
    return f"its status in the mirror is {status.value}, but it is {in_temporal}; `doctor` shows the difference"
