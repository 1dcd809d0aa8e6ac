"""Workers that end in the middle of a call, as by `kill -9`, inside the process of a test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ActivityOutboundInterceptor, ExecuteActivityInput
from typing_extensions import override

from holdfast.ports.ledger import CallKey, Ledger, LedgerEntry, LostCall, Recorded
from holdfast.storage.ledger import MemoryLedger
from holdfast.testing.observed_calls import Interceptor
from holdfast.types import RunId

Moment = Literal["before", "during", "after"]
MOMENTS: tuple[Moment, ...] = ("before", "during", "after")
LONG_AGO = 3600.0  # seconds; no attempt waits for the late result of a worker that was lost so long ago

_activity = ContextVar("_activity", default="")


@dataclass
class KillPoint:
    """A moment of a call at which its worker ends, once."""

    activity: str
    """Type of the activity, as `tool.order` or `model.call`."""
    moment: Moment
    """`before`: the call has not begun. `during`: it has taken effect, and its result is nowhere. `after`: its result
    is in the ledger, if the tool needs one, and not in Temporal."""
    reached: bool = False

    def __str__(self) -> str:
        return f"kill_at({self.activity!r}, {self.moment!r})"


class WorkerLife(Interceptor):
    """The life of one worker, until it shuts down or reaches a kill point.

    From then on, nothing that it does reaches Temporal or the ledger. Its calls are held until `bury`, and end then,
    when nobody waits for them any more. Functions that are running cannot be stopped within the process.

    Args:
        points: where it ends.
        on_death: called when it ends, with this object.

    Attributes:
        is_over: whether it has reached a kill point.
        owners: the claims in the ledger that it has made.
    """

    def __init__(self, points: Sequence[KillPoint], on_death: Callable[[WorkerLife], None]) -> None:
        self._points = points
        self._on_death = on_death
        self._buried = asyncio.Event()
        self.is_over = False
        self.owners: set[str] = set()

    async def survive(self, activity_type: str, *moments: Moment) -> None:
        """Returns if the worker survives these moments of a call; otherwise waits for the end of the test.

        Raises:
            ApplicationError: the test has ended.
        """
        for point in self._points:
            if not (self.is_over or point.reached) and point.activity == activity_type and point.moment in moments:
                point.reached = self.is_over = True
                self._on_death(self)
        if self.is_over:
            while not self._buried.is_set():
                with suppress(asyncio.CancelledError):  # of its shutdown, of which Temporal must not hear
                    await self._buried.wait()
            raise ApplicationError("the test has killed this worker")

    def bury(self) -> None:
        """Lets the calls of a worker end that is over."""
        self._buried.set()

    @override
    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Inbound(next, self)


class Lives:
    """The workers of a test that serve the same task queues one after the other, and the ledger that they share.

    Args:
        points: where one of them ends.
    """

    def __init__(self, points: Sequence[KillPoint]) -> None:
        self._points = points
        self._ledger = MemoryLedger()
        self._lives: list[WorkerLife] = []

    def begin(self, on_death: Callable[[WorkerLife], None]) -> WorkerLife:
        """Returns the life of another worker; `on_death` is called when it ends."""
        self._lives.append(WorkerLife(self._points, on_death))
        return self._lives[-1]

    def ledger_of(self, life: WorkerLife) -> Ledger:
        """Returns the ledger as the worker of a life sees it."""
        return LedgerOfLife(self._ledger, life, self._is_lost)

    def _is_lost(self, owner: str) -> bool:
        return any(life.is_over and owner in life.owners for life in self._lives)


class _Inbound(ActivityInboundInterceptor):
    """Ends a worker before or after a call, and keeps what a dead one returns from Temporal."""

    def __init__(self, following: ActivityInboundInterceptor, life: WorkerLife) -> None:
        super().__init__(following)
        self._life = life

    @override
    def init(self, outbound: ActivityOutboundInterceptor) -> None:
        super().init(_Outbound(outbound, self._life))

    @override
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info = activity.info()
        if info.is_local:  # a part of a workflow task, which may be repeated
            return await super().execute_activity(input)
        _activity.set(info.activity_type)
        await self._life.survive(info.activity_type, "before")
        try:
            result = await super().execute_activity(input)
        except Exception:
            await self._life.survive(info.activity_type)
            raise
        # A call without a claim in the ledger has no result there, so that both moments are one.
        await self._life.survive(info.activity_type, "during", "after")
        return result


class _Outbound(ActivityOutboundInterceptor):
    """Keeps the heartbeats of a dead worker from Temporal, which then gives its calls to another one."""

    def __init__(self, following: ActivityOutboundInterceptor, life: WorkerLife) -> None:
        super().__init__(following)
        self._life = life

    @override
    def heartbeat(self, *details: Any) -> None:
        if not self._life.is_over:
            super().heartbeat(*details)


class LedgerOfLife(Ledger):
    """The ledger as one worker sees it: a dead one no longer reaches it, and the claims of dead ones look old.

    Args:
        kept: the ledger of all workers.
        life: that of the worker.
        is_lost: whether a claim was made by a worker that is over.
    """

    def __init__(self, kept: Ledger, life: WorkerLife, is_lost: Callable[[str], bool]) -> None:
        self._kept = kept
        self._life = life
        self._is_lost = is_lost

    @override
    async def claim(self, key: CallKey, *, owner: str, tool: str, instead_of: str | None = None) -> LedgerEntry:
        await self._life.survive(_activity.get())
        self._life.owners.add(owner)
        return self._aged(await self._kept.claim(key, owner=owner, tool=tool, instead_of=instead_of))

    @override
    async def record(self, key: CallKey, *, owner: str, result: bytes) -> Recorded:
        await self._life.survive(_activity.get(), "during")
        return await self._kept.record(key, owner=owner, result=result)

    @override
    async def give_up(self, key: CallKey, *, owner: str) -> LedgerEntry | None:
        await self._life.survive(_activity.get())
        entry = await self._kept.give_up(key, owner=owner)
        return entry and self._aged(entry)

    @override
    async def find(self, key: CallKey) -> LedgerEntry | None:
        entry = await self._kept.find(key)
        return entry and self._aged(entry)

    @override
    async def lost(self, run_id: RunId, chain: str) -> list[LostCall]:
        return await self._kept.lost(run_id, chain)

    @override
    async def delete(self, run_id: RunId, chain: str) -> None:
        await self._kept.delete(run_id, chain)

    @override
    async def prune(self, before: datetime) -> int:
        return await self._kept.prune(before)

    def _aged(self, entry: LedgerEntry) -> LedgerEntry:
        return replace(entry, age=LONG_AGO) if self._is_lost(entry.owner) else entry
