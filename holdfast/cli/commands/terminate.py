"""`terminate`: ends runs at once."""

from __future__ import annotations

from typing import Annotated

import typer

from holdfast.cli.ending import end_runs
from holdfast.cli.exit_code import ExitCode
from holdfast.cli.options import JsonOption
from holdfast.cli.run_selection import RunSelection
from holdfast.errors import UsageError

REASON = "reason"  # name of the option in the file of a job

EXAMPLES = """
    $ terminate researcher-3f9a12bc --reason "hangs in a tool"
    $ terminate --where 'AgentTurn > 50' --reason "it loops"
    $ terminate --resume
"""


async def terminate(
    *,
    reason: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Why; kept in the run's history.", show_default=False)
    ] = None,
    runs: RunSelection,
    json: JsonOption = False,
) -> ExitCode:
    """Ends a run at once; prefer `cancel`.

    The run cannot clean up, nor record what it was doing. A reason is required.

    With --where, it ends all active runs that match a list filter of Temporal. It
    shows how many there are, asks, and keeps their ids in a file, so that --resume
    continues after an interruption, and processes no run twice.
    """
    if bool(reason) == runs.resume and not runs.dry_run:
        raise UsageError("--resume keeps the reason that was given" if reason else "say why, with --reason TEXT")
    return await end_runs(
        "terminate",
        lambda run, options: run.terminate(options[REASON]),
        runs,
        said=lambda run_id: f"{run_id} was terminated",
        done="terminated",
        json=json,
        options={REASON: reason} if reason else {},
    )
