"""The runs that a `doctor` command checks, and what it checks them with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli.moment import moment
from holdfast.cli.render.output import Output
from holdfast.cli.session import Session, connected
from holdfast.cli.storage import opened_persistence
from holdfast.errors import UsageError
from holdfast.ops.doctor import RunFinder
from holdfast.ports import RunLog, Store
from holdfast.temporal.replayed import BULK_QUERY_TIMEOUTS
from holdfast.temporal.run_log import TemporalRunLog
from holdfast.types import RunId

if TYPE_CHECKING:
    from holdfast.storage.persistence import Persistence

RunOption = Annotated[str | None, typer.Argument(metavar="ID", help="A run's id.", show_default=False)]
AllOption = Annotated[bool, typer.Option("--all", help="All runs instead of one.")]
SinceOption = Annotated[
    str | None,
    typer.Option(metavar="WHEN", help="With --all: runs started since, as 2d or 2026-11-01.", show_default=False),
]


@dataclass(frozen=True)
class CheckedRuns:
    """The runs that the arguments name."""

    run_id: RunId | None
    since: datetime | None

    @classmethod
    def of(cls, run_id: str | None, *, all: bool, since: str | None) -> CheckedRuns:  # noqa: A002 - the option's name
        """Reads the arguments.

        Raises:
            UsageError: they contradict each other.
        """
        if (run_id is None) != all:
            raise UsageError("name one run, or use --all")
        if since and not all:
            raise UsageError("--since needs --all")
        return cls(run_id, moment(since))

    async def ids(self, session: Session, store: Store) -> AsyncIterator[RunId]:
        """Their ids."""
        if self.run_id is not None:
            yield self.run_id
            return
        finder = RunFinder(session.client, session.settings.temporal_task_queue, store)
        async for run_id in finder.all_runs(self.since):
            yield run_id


@asynccontextmanager
async def opened(out: Output) -> AsyncIterator[tuple[Session, Persistence, RunLog]]:
    """Connects to Temporal and opens the storage.

    Raises:
        UsageError: the mirror is in the memory of the worker.
        Unavailable: Temporal, the worker or the database is unavailable.
    """
    async with connected(out) as session:
        if session.settings.is_in_memory:
            raise UsageError(
                "with these settings the mirror is in the worker's memory, where the doctor cannot reach it"
            )
        await session.runs.check_worker()
        async with opened_persistence(session.settings) as persistence:
            yield session, persistence, TemporalRunLog(session.client, query_timeouts=BULK_QUERY_TIMEOUTS)
