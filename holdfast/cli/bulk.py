"""Operations on one run, or on all runs that match a condition."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

from holdfast._util.concurrency import map_concurrently
from holdfast._util.terminal import clean
from holdfast.cli.exit_code import ExitCode
from holdfast.cli.program import command
from holdfast.cli.render.output import Output
from holdfast.cli.render.progress import Progress
from holdfast.cli.render.run_list import show_runs
from holdfast.cli.render.text import count
from holdfast.cli.run_selection import RunSelection
from holdfast.cli.session import Session, connected
from holdfast.errors import HoldfastError, RunOver, TemporalUnavailable, UsageError
from holdfast.ops.bulk import BulkJob, Outcome, Treated, new_path, newest_unfinished
from holdfast.types import RunId

if TYPE_CHECKING:
    from holdfast.client.listed_run import ListedRun

WIDTH = 16  # runs at the same time; Temporal takes some hundred requests a second on one machine
SAMPLE = 5  # runs that are shown before the question

Options = dict[str, str]
"""Options of an operation, by name, as the file of a job has them."""

Act = Callable[[Session, RunId, BulkJob], Awaitable[Outcome]]
"""Does to a run what a job is for. An error is that of the run alone, unless Temporal is unavailable."""


@dataclass(frozen=True)
class Operation:
    """What a command does to one run, or to each of many."""

    verb: str
    one: Callable[[Session, RunId], Awaitable[ExitCode | None]]
    """Does it to the only run, and reports."""
    each: Act
    done: str
    """What was done to each of many runs, as `asked to stop`."""
    states: str = "ExecutionStatus = 'Running'"
    """List filter of the runs to which it can be done."""
    options: Options = field(default_factory=dict)
    """Kept with the job, as it may be resumed."""


async def treat(runs: RunSelection, operation: Operation, out: Output, *, whole: bool = False) -> ExitCode:
    """Does an operation to the runs of a selection, and reports.

    Args:
        runs: the selection.
        operation: what is done to them.
        out: receives the report.
        whole: as in `connected`.

    Raises:
        UsageError: as `BulkCommand.run` does.
        Unavailable: Temporal is unavailable.
    """
    async with connected(out, whole=whole) as session:
        if runs.run_id is None:
            return await BulkCommand(session, operation).run(runs)
        return await operation.one(session, runs.run_id) or ExitCode.OK


class BulkCommand:
    """One operation on all selected runs.

    Args:
        session: an open connection.
        operation: what is done to each run.
    """

    def __init__(self, session: Session, operation: Operation) -> None:
        self._session = session
        self._out = session.out
        self._operation = operation

    async def run(self, selection: RunSelection) -> ExitCode:
        """Does it, after a confirmation, and reports.

        Raises:
            UsageError: the condition or the file of ids is not accepted, or there is no terminal to confirm on.
            Unavailable: Temporal is unavailable; the job can be resumed.
        """
        job = self._resumed(selection) if selection.resume else await self._new(selection)
        if job is None:
            return ExitCode.OK
        await self._treat(job)
        self._report(job)
        return ExitCode.FAILED if job.failures else ExitCode.OK

    def _resumed(self, selection: RunSelection) -> BulkJob | None:
        verb, home = self._operation.verb, self._session.settings.holdfast_home
        job = BulkJob.read(selection.ids_file) if selection.ids_file else newest_unfinished(home, verb)
        if job is None:
            raise UsageError(
                f"no `{verb}` of many runs was interrupted in {str(home)!r}; name its file with --ids-file"
            )
        if (job.header.verb, job.header.namespace) != (verb, self._session.client.namespace):
            theirs = f"`{job.header.verb}` in namespace {job.header.namespace!r}"
            raise UsageError(f"{str(job.path)!r} is of {theirs}; resume it with that command and namespace")
        self._out.note(f"{verb} of {count(len(job.runs), 'run')}, {len(job.left):,} left ({job.path})")
        return job

    async def _new(self, selection: RunSelection) -> BulkJob | None:
        assert selection.where is not None, "without it, a job is resumed"
        sample, ids = await self._matching(selection.where)
        if selection.dry_run or not ids:
            self._show_matching(selection.where, sample, ids, document=True)
            return None
        if not self._is_confirmed(selection, sample, ids):
            return None
        return BulkJob.freeze(
            selection.ids_file or new_path(self._session.settings.prepare_home(), self._operation.verb),
            verb=self._operation.verb,
            where=selection.where,
            namespace=self._session.client.namespace,
            runs=ids,
            options=self._operation.options,
        )

    async def _matching(self, where: str) -> tuple[list[ListedRun], list[RunId]]:
        """Returns the ids of the runs that match, and some of the runs."""
        from holdfast.client.listed_run import ListedRun  # noqa: PLC0415
        from holdfast.client.run_conditions import EACH_RUN  # noqa: PLC0415 - `--help` needs no SDK
        from holdfast.temporal.connection import translated_errors  # noqa: PLC0415
        from holdfast.temporal.executions import without_replaced  # noqa: PLC0415
        from holdfast.temporal.list_filter import check_filter  # noqa: PLC0415

        client, progress = self._session.client, Progress(self._out)
        await check_filter(client, where)
        sample: list[ListedRun] = []
        ids: dict[RunId, None] = {}
        with translated_errors():
            async for execution in without_replaced(client, f"{EACH_RUN} AND {self._operation.states} AND ({where})"):
                if len(sample) < SAMPLE:
                    sample.append(await ListedRun.of(execution))
                ids[execution.id] = None
                progress.report(len(ids), "run", "found")
        return sample, list(ids)

    def _show_matching(self, where: str, sample: list[ListedRun], ids: list[RunId], *, document: bool) -> None:
        out = self._out
        if document and out.json:
            out.document({"verb": self._operation.verb, "where": where, "found": len(ids), "runs": ids})
            return
        if not ids:
            out.note(f"no run to {self._operation.verb} matches {where}")
            return
        show_runs(out, sample, datetime.now(UTC))
        if len(ids) > len(sample):
            out.say((f"and {len(ids) - len(sample):,} more", "dim"))
        if document:
            out.say(f"{count(len(ids), 'run')} to {self._operation.verb}")

    def _is_confirmed(self, selection: RunSelection, sample: list[ListedRun], ids: list[RunId]) -> bool:
        if selection.yes:
            return True
        verb, number = self._operation.verb, count(len(ids), "run")
        if not sys.stdin.isatty():
            raise UsageError(
                f"there is no terminal to confirm on; use --yes to {verb} {number}, or --dry-run to see which"
            )
        self._show_matching(selection.where or "", sample, ids, document=False)
        return typer.confirm(f"{verb} {number}?", err=True)

    async def _treat(self, job: BulkJob) -> None:
        left, out, progress = job.left, self._out, Progress(self._out)
        made = 0
        try:
            with job.recording() as record:
                async for treated in map_concurrently(_each(left), lambda run: self._act(job, run), WIDTH):
                    record(treated)
                    made += 1
                    if treated.outcome is Outcome.FAILED:
                        out.say((f"{clean(treated.run)}: {clean(treated.reason)}", "red"))
                    progress.report(made, "run", f"of {len(left):,} processed")
                    out.status(f"{made:,} of {len(left):,}")
                out.status(None)
        except BaseException:
            if made < len(left):
                out.note(f"{len(left) - made:,} left; to continue: {self._to_resume(job)}")
            raise

    async def _act(self, job: BulkJob, run: RunId) -> Treated:
        try:
            return Treated(run=run, outcome=await self._operation.each(self._session, run, job))
        except RunOver:
            return Treated(run=run, outcome=Outcome.ENDED)
        except TemporalUnavailable:
            raise
        except HoldfastError as error:
            return Treated(run=run, outcome=Outcome.FAILED, reason=str(error))

    def _to_resume(self, job: BulkJob) -> str:
        return command(self._operation.verb, "--resume", "--ids-file", str(job.path))

    def _report(self, job: BulkJob) -> None:
        out, counts = self._out, job.counts
        if out.json:
            out.document(_document(job))
            return
        words = {Outcome.DONE: self._operation.done, Outcome.ENDED: "had already ended", Outcome.FAILED: "failed"}
        kinds = ", ".join(f"{counts[outcome]:,} {text}" for outcome, text in words.items() if counts[outcome])
        out.say(f"{count(len(job.runs), 'run')}: {kinds}")
        if job.failures:
            out.note(f"to try those that failed again: {self._to_resume(job)}")
        else:
            out.note(f"what was done to each run is in {job.path}")


def _document(job: BulkJob) -> dict[str, Any]:
    return {
        "verb": job.header.verb,
        "where": job.header.where,
        "ids_file": str(job.path),
        "found": len(job.runs),
        "outcomes": {outcome.value: job.counts[outcome] for outcome in Outcome},
        "failures": [{"run_id": each.run, "reason": each.reason} for each in job.failures],
    }


async def _each(runs: list[RunId]) -> AsyncIterator[RunId]:
    for run in runs:
        yield run
