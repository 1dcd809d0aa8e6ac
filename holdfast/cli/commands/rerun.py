"""`rerun`: starts runs with the input of others."""

from __future__ import annotations

import hashlib
import re
from typing import Annotated

import typer

from holdfast.cli.bulk import Operation, treat
from holdfast.cli.exit_code import ExitCode
from holdfast.cli.options import JsonOption
from holdfast.cli.render.output import Output
from holdfast.cli.run_selection import RunSelection
from holdfast.cli.session import Session
from holdfast.cli.started_run import ModeOption, NewIdOption, show_run
from holdfast.errors import RunExists
from holdfast.ops.bulk import BulkJob, Outcome
from holdfast.run_status import TaskExecutionMode
from holdfast.types import RunId

LATEST = "latest"  # name of the option in the file of a job
UNACCEPTED = re.compile(r"[^A-Za-z0-9_.:@-]")  # characters of ids that were chosen without this program
MAX_ORIGIN = 150  # characters of the id of the other run in that of the new one

EXAMPLES = """
    $ rerun researcher-3f9a12bc
    $ rerun researcher-3f9a12bc --latest --mode background
    $ rerun --latest --where 'AgentStatus = "failed"'
"""


async def rerun(
    *,
    latest: Annotated[
        bool, typer.Option("--latest", help="Use the agent as it is now. Default: as it was then.")
    ] = False,
    new_id: NewIdOption = None,
    mode: ModeOption = TaskExecutionMode.STREAMING,
    runs: RunSelection,
    json: JsonOption = False,
) -> ExitCode:
    """Starts a run with the input of another one.

    The new run has the same input, agent, limits, tags and, if one was named, the same
    workspace. A fork is forked again from where it began. Exit codes are those of
    `run`.

    With --where, it does so for all runs that have ended and match a list filter of
    Temporal, and returns when all are started. It asks, and can be resumed, as
    `cancel --where`.
    """
    runs.check_one(new_id, "--id names one new run; those of many runs have the ids of their origins with a suffix")

    async def one(session: Session, run_id: RunId) -> ExitCode:
        return await show_run(session, await session.run(run_id).rerun(latest=latest, id=new_id), mode)

    operation = Operation(
        "rerun",
        one,
        _rerun,
        "started again",
        states="ExecutionStatus != 'Running'",
        options={LATEST: "yes"} if latest else {},
    )
    return await treat(runs, operation, Output(json=json), whole=True)


async def _rerun(session: Session, run_id: RunId, job: BulkJob) -> Outcome:
    try:
        await session.run(run_id).rerun(latest=LATEST in job.header.options, id=new_run_id(run_id, job))
    except RunExists:  # before the job was interrupted
        return Outcome.DONE
    return Outcome.DONE


def new_run_id(run_id: RunId, job: BulkJob) -> RunId:
    """The id of the run that a job starts for another one; it can be used once, so it is started once."""
    begin = UNACCEPTED.sub("-", run_id)[:MAX_ORIGIN].lstrip("-_.:@")
    if begin != run_id:
        begin = f"{begin}-{hashlib.sha256(run_id.encode()).hexdigest()[:8]}".lstrip("-")
    return f"{begin}-{job.header.id}"
