"""`terminate`: ends runs at once."""

from __future__ import annotations

from typing import Annotated

import typer

from holdfast.cli.bulk import (
    BulkCommand,
    DryRunOption,
    IdsFileOption,
    Operation,
    ResumeOption,
    Selection,
    YesOption,
)
from holdfast.cli.exit_code import ExitCode
from holdfast.cli.options import JsonOption, OptionalRunIdArgument, WhereOption
from holdfast.cli.render.output import Output
from holdfast.cli.render.status import status_words
from holdfast.cli.session import Session, connected
from holdfast.errors import UsageError
from holdfast.ops.bulk import BulkJob, Outcome
from holdfast.types import RunId

REASON = "reason"  # name of the option in the file of a job

EXAMPLES = """
    $ terminate researcher-3f9a12bc --reason "hangs in a tool"
    $ terminate --where 'AgentTurn > 50' --reason "it loops"
    $ terminate --resume
"""


async def terminate(
    run_id: OptionalRunIdArgument = None,
    *,
    reason: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Why; kept in the run's history.", show_default=False)
    ] = None,
    where: WhereOption = None,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    ids_file: IdsFileOption = None,
    resume: ResumeOption = False,
    json: JsonOption = False,
) -> ExitCode:
    """Ends a run at once; prefer `cancel`.

    The run cannot clean up, nor record what it was doing. A reason is required.

    With --where, it ends all active runs that match a list filter of Temporal. It
    shows how many there are, asks, and keeps their ids in a file, so that --resume
    continues after an interruption, and treats no run twice.
    """
    out = Output(json=json)
    many = Selection.of(run_id, where, ids_file, yes=yes, dry_run=dry_run, resume=resume)
    if bool(reason) == resume and not dry_run:
        raise UsageError("--resume keeps the reason that was given" if reason else "say why, with --reason TEXT")
    async with connected(out) as session:
        if many is not None:
            options = {REASON: reason} if reason else {}
            return await BulkCommand(session, Operation("terminate", _end, "terminated", options=options)).run(many)
        assert run_id is not None, "else there are many"
        await _end_one(session, run_id, reason or "")
    return ExitCode.OK


async def _end_one(session: Session, run_id: RunId, reason: str) -> None:
    run, out = session.run(run_id), session.out
    ended = await run.ended()
    if ended is None:
        await run.terminate(reason)
    if out.json:
        out.document({"run_id": run_id, "requested": "terminate", "reason": reason, "ended": ended})
    elif ended:
        out.say(f"{run_id} has already ended ({status_words(ended)})")
    else:
        out.say(f"{run_id} was terminated")


async def _end(session: Session, run_id: RunId, job: BulkJob) -> Outcome:
    run = session.run(run_id)
    if await run.ended():
        return Outcome.ENDED
    await run.terminate(job.header.options[REASON])
    return Outcome.DONE
