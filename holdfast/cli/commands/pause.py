"""`pause`: pauses runs."""

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
from holdfast.cli.commanding import ByOption, KeyOption, send_command, user
from holdfast.cli.exit_code import ExitCode
from holdfast.cli.options import JsonOption, OptionalRunIdArgument, WhereOption
from holdfast.cli.render.output import Output
from holdfast.cli.session import Session, connected
from holdfast.ops.bulk import BulkJob, Outcome
from holdfast.types import RunId

NOW, BY = "now", "by"  # names of the options in the file of a job

EXAMPLES = """
    $ pause researcher-3f9a12bc
    $ pause researcher-3f9a12bc --now
    $ pause --where 'AgentTags = "team=search"'
"""


async def pause(
    run_id: OptionalRunIdArgument = None,
    *,
    now: Annotated[
        bool, typer.Option("--now", help="Also stop the calls in flight; the model is asked again after the pause.")
    ] = False,
    key: KeyOption = None,
    by: ByOption = None,
    where: WhereOption = None,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    ids_file: IdsFileOption = None,
    resume: ResumeOption = False,
    json: JsonOption = False,
) -> ExitCode:
    """Pauses a run: nothing new starts until it is resumed.

    Calls in flight end and are recorded. The time limit of the run does not count the
    pause. A paused run stays paused over restarts and upgrades.

    With --where, it pauses all active runs that match a list filter of Temporal, as
    `cancel --where` stops them.
    """
    many = Selection.of(run_id, where, ids_file, yes=yes, dry_run=dry_run, resume=resume, key=key)
    if many is not None:
        operation = Operation(
            "pause",
            _pause,
            "paused",
            states="ExecutionStatus = 'Running' AND AgentStatus != 'paused'",
            options=({NOW: "yes"} if now else {}) | ({BY: by} if by else {}),
        )
        async with connected(Output(json=json)) as session:
            return await BulkCommand(session, operation).run(many)
    assert run_id is not None, "else there are many"
    await send_command(
        run_id,
        lambda run: run.pause(now=now, id=key, by=by or user()),
        done="{run} pauses; `resume` continues it",
        json=json,
    )
    return ExitCode.OK


async def _pause(session: Session, run_id: RunId, job: BulkJob) -> Outcome:
    await session.run(run_id).pause(
        now=NOW in job.header.options, id=job.key(run_id), by=job.header.options.get(BY) or user()
    )
    return Outcome.DONE
