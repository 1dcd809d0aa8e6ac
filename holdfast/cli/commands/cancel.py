"""`cancel`: asks runs to stop."""

from __future__ import annotations

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
from holdfast.cli.program import command
from holdfast.cli.render.output import Output
from holdfast.cli.render.status import status_words
from holdfast.cli.session import Session, connected
from holdfast.ops.bulk import BulkJob, Outcome
from holdfast.types import RunId

EXAMPLES = """
    $ cancel researcher-3f9a12bc
    $ cancel --where 'AgentName = "x" AND AgentTurn > 50'
    $ cancel --resume
"""


async def cancel(
    run_id: OptionalRunIdArgument = None,
    *,
    where: WhereOption = None,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    ids_file: IdsFileOption = None,
    resume: ResumeOption = False,
    json: JsonOption = False,
) -> ExitCode:
    """Asks a run to stop, and keeps what it has done so far.

    A model call in flight is interrupted, and its partial text is kept. The command
    returns at once; `result` waits for the end.

    With --where, it stops all active runs that match a list filter of Temporal. It
    shows how many there are, asks, and keeps their ids in a file, so that --resume
    continues after an interruption, and treats no run twice.
    """
    out = Output(json=json)
    many = Selection.of(run_id, where, ids_file, yes=yes, dry_run=dry_run, resume=resume)
    async with connected(out) as session:
        if many is not None:
            return await BulkCommand(session, Operation("cancel", _ask_to_stop, "asked to stop")).run(many)
        assert run_id is not None, "else there are many"
        await _cancel_one(session, run_id)
    return ExitCode.OK


async def _cancel_one(session: Session, run_id: RunId) -> None:
    run, out = session.run(run_id), session.out
    ended = await run.ended()
    if ended is None:
        await run.cancel()
    if out.json:
        out.document({"run_id": run_id, "requested": "cancel", "ended": ended})
    elif ended:
        out.say(f"{run_id} has already ended ({status_words(ended)})")
    else:
        out.say(f"{run_id} was asked to stop; to wait for its end: {command('result', run_id)}")


async def _ask_to_stop(session: Session, run_id: RunId, _job: BulkJob) -> Outcome:
    run = session.run(run_id)
    if await run.ended():
        return Outcome.ENDED
    await run.cancel()
    return Outcome.DONE
