"""`resume`: resumes paused runs."""

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
from holdfast.cli.commanding import ByOption, KeyOption, send_command, user
from holdfast.cli.exit_code import ExitCode
from holdfast.cli.options import JsonOption, OptionalRunIdArgument, WhereOption
from holdfast.cli.render.output import Output
from holdfast.cli.session import Session, connected
from holdfast.ops.bulk import BulkJob, Outcome
from holdfast.types import RunId

BY = "by"  # name of the option in the file of a job

EXAMPLES = """
    $ resume researcher-3f9a12bc
    $ resume --where 'AgentTags = "team=search"'
"""


async def resume(
    run_id: OptionalRunIdArgument = None,
    *,
    key: KeyOption = None,
    by: ByOption = None,
    where: WhereOption = None,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    ids_file: IdsFileOption = None,
    again: ResumeOption = False,
    json: JsonOption = False,
) -> ExitCode:
    """Resumes a paused run where it stopped.

    With --where, it resumes all paused runs that match a list filter of Temporal, as
    `cancel --where` stops them.
    """
    many = Selection.of(run_id, where, ids_file, yes=yes, dry_run=dry_run, resume=again, key=key)
    if many is not None:
        states = "ExecutionStatus = 'Running' AND AgentStatus = 'paused'"
        operation = Operation("resume", _resume, "resumed", states=states, options={BY: by} if by else {})
        async with connected(Output(json=json)) as session:
            return await BulkCommand(session, operation).run(many)
    assert run_id is not None, "else there are many"
    await send_command(run_id, lambda run: run.resume(id=key, by=by or user()), done="{run} continues", json=json)
    return ExitCode.OK


async def _resume(session: Session, run_id: RunId, job: BulkJob) -> Outcome:
    await session.run(run_id).resume(id=job.key(run_id), by=job.header.options.get(BY) or user())
    return Outcome.DONE
