"""Commands that end runs: one, or all that match a condition; a run that has ended already is left alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from holdfast.cli.bulk import Operation, Options, treat
from holdfast.cli.exit_code import ExitCode
from holdfast.cli.render.output import Output
from holdfast.cli.render.status import status_words
from holdfast.cli.run_selection import RunSelection
from holdfast.cli.session import Session
from holdfast.ops.bulk import BulkJob, Outcome
from holdfast.types import RunId

if TYPE_CHECKING:
    from holdfast.client.run_handle import RunHandle

End = Callable[["RunHandle", Options], Awaitable[None]]
"""Ends a run that is open."""


async def end_runs(
    verb: str,
    end: End,
    runs: RunSelection,
    *,
    said: Callable[[RunId], str],
    done: str,
    json: bool,
    options: Options | None = None,
) -> ExitCode:
    """Ends the runs of a selection, and reports.

    Args:
        verb: the command.
        end: ends a run.
        runs: the selection.
        said: returns what to say of the only run that was ended.
        done: what was done to each of many runs, as `terminated`.
        json: whether to report as JSON.
        options: given to `end`, and part of the report.
    """
    options = options or {}

    async def one(session: Session, run_id: RunId) -> None:
        run, out = session.run(run_id), session.out
        if (ended := await run.ended()) is None:
            await end(run, options)
        if out.json:
            out.document({"run_id": run_id, "requested": verb, **options, "ended": ended})
        elif ended:
            out.say(f"{run_id} has already ended ({status_words(ended)})")
        else:
            out.say(said(run_id))

    async def each(session: Session, run_id: RunId, job: BulkJob) -> Outcome:
        run = session.run(run_id)
        if await run.ended():
            return Outcome.ENDED
        await end(run, job.header.options)
        return Outcome.DONE

    return await treat(runs, Operation(verb, one, each, done, options=options), Output(json=json))
