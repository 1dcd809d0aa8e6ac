"""`doctor`: holds the mirror against Temporal's history, and makes good what differs."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import typer

from holdfast.cli.exit_code import ExitCode
from holdfast.cli.moment import moment
from holdfast.cli.options import JsonOption
from holdfast.cli.program import command
from holdfast.cli.render.doctor_text import count_entries, flaw_lines, rebuilt_line, verified_total
from holdfast.cli.render.output import Output
from holdfast.cli.render.progress import News
from holdfast.cli.render.text import count, duration
from holdfast.cli.session import Session, connected
from holdfast.cli.storage import opened_persistence
from holdfast.errors import QueryRefused, RunNotFound, UsageError, WorkerUnavailable
from holdfast.ops.doctor import Rebuilder, Rebuilt, Report, RunFinder, Verdict, Verifier, map_concurrently
from holdfast.ports import RunLog, Store
from holdfast.temporal.replayed import UNHURRIED
from holdfast.temporal.run_log import TemporalRunLog
from holdfast.types import RunId

RunOption = Annotated[str | None, typer.Argument(metavar="ID", help="A run's id.", show_default=False)]
AllOption = Annotated[bool, typer.Option("--all", help="All runs instead of one.")]
SinceOption = Annotated[
    str | None,
    typer.Option(metavar="WHEN", help="With --all: runs started since, as 2d or 2026-11-01.", show_default=False),
]

DeepOption = Annotated[
    bool | None,
    typer.Option(
        "--deep/--quick", help="Compare every row, or newest entries alone.", show_default="deep, with --all quick"
    ),
]

VERIFY_EXAMPLES = """
    $ doctor verify researcher-3f9a12bc
    $ doctor verify --all --since 2d
    $ doctor verify --all --deep --json | jq '.runs[].run_id'
"""


async def verify(
    run_id: RunOption = None,
    all: AllOption = False,  # noqa: A002 - the option's name
    since: SinceOption = None,
    deep: DeepOption = None,
    json: JsonOption = False,
) -> ExitCode:
    """Compares the mirror with Temporal's history.

    --deep, as for one run: every value of every row is held against what the
    run's history projects to. --quick, as for --all: a healthy run costs one
    small read of the mirror: its newest entry, whose digest stands for the whole
    log, and the run's own row. Only where these differ its rows are looked at, so
    damage to other rows is not seen. Either way a row that is missing, altered or
    too much is named by run, table and seq. A worker must run, as it replays the
    histories.

    A run that goes on may be `behind`: what the mirror has of it so far is right.
    Of one whose history Temporal has deleted, `mirror only`, the rows are held
    against each other.

    Exit code: 0 when nothing is wrong, 4 when something is, 3 when a run could
    not be checked.
    """
    out = Output(json=json)
    clinic = _Clinic.of(run_id, all=all, since=since)
    reports: list[Report] = []
    news = News(out)
    async with _opened(out) as (session, store, log):
        verifier = Verifier(store, log, quick=all if deep is None else not deep)
        async for report in map_concurrently(clinic.runs(session, store), verifier.verify):
            reports.append(report)
            out.lines(flaw_lines(report, out.width))
            news.tell(len(reports), "run")
    found = Counter(report.verdict for report in reports)
    if json:
        runs = [report.document for report in reports if report.verdict != Verdict.HEALTHY or not all]
        out.document({"found": {verdict.value: found[verdict] for verdict in Verdict}, "runs": runs})
    else:
        out.say(verified_total(reports, news.seconds))
        if all and deep is None:
            out.note("newest entries and run rows were compared; --deep compares every row")
        if found[Verdict.SICK]:
            out.note(f"to mend: {command('doctor', 'rebuild', '--all' if all else run_id or '')}")
    return ExitCode.SICK if found[Verdict.SICK] else ExitCode.UNAVAILABLE if found[Verdict.UNCHECKED] else ExitCode.OK


REBUILD_EXAMPLES = """
    $ doctor rebuild researcher-3f9a12bc
    $ doctor rebuild --all --since 2026-11-01
"""


async def rebuild(
    run_id: RunOption = None,
    all: AllOption = False,  # noqa: A002 - the option's name
    since: SinceOption = None,
    json: JsonOption = False,
) -> ExitCode:
    """Makes the mirror what Temporal's history says, row by row.

    Rows that are right stay, others are written or deleted; so readers find
    nothing less meanwhile, runs may go on, and after an interruption it can
    simply be done again. A worker must run, as it replays the histories. Runs
    that Temporal has deleted are left as they are.

    Exit code: 0, or 3 when a run could not be rebuilt.
    """
    out = Output(json=json)
    clinic = _Clinic.of(run_id, all=all, since=since)
    done: list[_Attempt] = []
    news = News(out)
    async with _opened(out) as (session, store, log):
        rebuilder = Rebuilder(store, log)

        async def attempt(run: RunId) -> _Attempt:
            return await _attempt(rebuilder, run, alone=not all)

        async for each in map_concurrently(clinic.runs(session, store), attempt):
            done.append(each)
            if line := each.line():
                out.say(line)
            news.tell(len(done), "run")
    return _show_rebuilt(out, done, news.seconds)


@dataclass(frozen=True)
class _Attempt:
    run_id: RunId
    rebuilt: Rebuilt | None = None
    refusal: str = ""
    is_gone: bool = False

    def line(self) -> str | None:
        if self.rebuilt:
            return rebuilt_line(self.rebuilt)
        return f"{self.run_id}: {'left as it is: ' if self.is_gone else ''}{self.refusal}"

    def document(self) -> dict[str, Any]:
        counts = self.rebuilt
        if counts is None:
            return {"run_id": self.run_id, "rebuilt": False, "reason": self.refusal}
        numbers = {"entries": counts.entries, "written": counts.written, "mended": counts.mended}
        return {"run_id": self.run_id, "rebuilt": True, **numbers}


async def _attempt(rebuilder: Rebuilder, run_id: RunId, *, alone: bool) -> _Attempt:
    try:
        return _Attempt(run_id, await rebuilder.rebuild(run_id))
    except (RunNotFound, QueryRefused, WorkerUnavailable) as error:
        if alone:
            raise
        return _Attempt(run_id, refusal=str(error), is_gone=isinstance(error, RunNotFound))


def _show_rebuilt(out: Output, done: list[_Attempt], seconds: float) -> ExitCode:
    rebuilt = [each.rebuilt for each in done if each.rebuilt]
    entries = sum(each.entries for each in rebuilt)
    written, mended = sum(each.written for each in rebuilt), sum(each.mended for each in rebuilt)
    rate = round(entries / seconds) if seconds else 0
    if out.json:
        out.document(
            {
                "runs": [each.document() for each in done],
                "entries": entries,
                "written": written,
                "mended": mended,
                "seconds": round(seconds, 3),
                "entries_per_second": rate,
            }
        )
    else:
        out.say(f"{count(len(rebuilt), 'run')}, {count_entries(entries)} in {duration(seconds)}, {rate:,} a second")
        out.say(f"{written:,} written anew, {count(mended, 'row')} mended")
    failed = any(each.rebuilt is None and not each.is_gone for each in done)
    return ExitCode.UNAVAILABLE if failed else ExitCode.OK


@dataclass(frozen=True)
class _Clinic:
    """Which runs are meant."""

    run_id: RunId | None
    since: datetime | None

    @classmethod
    def of(cls, run_id: str | None, *, all: bool, since: str | None) -> _Clinic:  # noqa: A002 - the option's name
        if (run_id is None) != all:
            raise UsageError("name one run, or all of them with --all")
        if since and not all:
            raise UsageError("--since goes with --all")
        return cls(run_id, moment(since))

    async def runs(self, session: Session, store: Store) -> AsyncIterator[RunId]:
        """Their ids."""
        if self.run_id is not None:
            yield self.run_id
            return
        finder = RunFinder(session.client, session.settings.temporal_task_queue, store)
        async for run_id in finder.everywhere(self.since):
            yield run_id


@asynccontextmanager
async def _opened(out: Output) -> AsyncIterator[tuple[Session, Store, RunLog]]:
    """Temporal, a worker and the mirror, or a word on which of them is missing."""
    async with connected(out) as session:
        if session.settings.is_in_memory:
            raise UsageError("the mirror is in the worker's memory, out of the doctor's reach; settings say so")
        await session.runs.check_worker()
        async with opened_persistence(session.settings) as persistence:
            yield session, persistence.store, TemporalRunLog(session.client, patience=UNHURRIED)
