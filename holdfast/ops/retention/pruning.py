"""Drops runs that ended long ago, and what only they needed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from holdfast.ops.doctor.truth import UNREADABLE
from holdfast.ops.retention.executions import Executions, Life
from holdfast.ports import Store
from holdfast.types import MirroredRun, RunId, RunStatus

PAGE = 200  # runs that the mirror is asked for at once


@dataclass(frozen=True)
class Doomed:
    """A run that may go."""

    run: MirroredRun

    @property
    def entries(self) -> int:
        """How many it has."""
        return self.run.head.seq + 1


@dataclass(frozen=True)
class Spared:
    """A run that is as old, and stays."""

    run_id: RunId
    why: str


class Pruner:
    """Finds old runs, and drops them one by one.

    A run goes only if the mirror says that it has ended, and if Temporal, where there is one to ask, does not say that
    it goes on. It may be broken off anywhere, and several may be at it.

    Args:
        store: the mirror.
        executions: what Temporal says; None: the mirror alone decides.
        keep: runs in these statuses stay.
    """

    def __init__(self, store: Store, executions: Executions | None, keep: frozenset[RunStatus] = frozenset()) -> None:
        self._store = store
        self._executions = executions
        self._keep = keep

    async def find(self, before: datetime) -> AsyncIterator[Doomed | Spared]:
        """The runs that ended before a moment, and older ones with whose end something is wrong.

        Raises:
            Unavailable: the mirror or Temporal is away.
        """
        async for run in self._runs():
            if isinstance(run, Spared):
                yield run
            elif found := await self._judge(run, before):
                yield found

    async def drop(self, doomed: Doomed) -> bool:
        """Drops a run, unless it has changed or goes on again; says whether it is gone.

        Raises:
            Unavailable: the mirror or Temporal is away.
        """
        run_id = doomed.run.summary.run_id
        if await self._life(run_id) == Life.OPEN:
            return False
        await self._store.delete(run_id, seen=doomed.run.head)
        return await self._store.head(run_id) is None

    async def _judge(self, run: MirroredRun, before: datetime) -> Doomed | Spared | None:
        summary = run.summary
        if summary.status.is_final:
            is_old = summary.finished_at is not None and summary.finished_at < before
            if not is_old or summary.status in self._keep:
                return None
            if await self._life(summary.run_id) == Life.OPEN:
                return Spared(summary.run_id, f"the mirror says {summary.status.value}, but Temporal that it goes on")
            return Doomed(run)
        if summary.started_at >= before or self._executions is None:
            return None
        life = await self._life(summary.run_id)
        return None if life == Life.OPEN else Spared(summary.run_id, _lost(summary.status, life))

    async def _life(self, run_id: RunId) -> Life:
        return Life.UNKNOWN if self._executions is None else await self._executions.life(run_id)

    async def _runs(self) -> AsyncIterator[MirroredRun | Spared]:
        after: RunId | None = None
        while ids := await self._store.run_ids(after, PAGE):
            for run in await self._page(after, ids):
                yield run
            after = ids[-1]

    async def _page(self, after: RunId | None, ids: list[RunId]) -> list[MirroredRun | Spared]:
        try:
            return list(await self._store.runs(after, len(ids)))
        except UNREADABLE:
            return [run for run_id in ids if (run := await self._one(run_id))]

    async def _one(self, run_id: RunId) -> MirroredRun | Spared | None:
        try:
            return await self._store.run(run_id)
        except UNREADABLE as error:
            return Spared(run_id, f"its row cannot be read: {error}")


def _lost(status: RunStatus, life: Life) -> str:
    says = "that it has ended" if life == Life.CLOSED else "nothing of it"
    return f"the mirror says {status.value}, Temporal says {says}: see `doctor`"
