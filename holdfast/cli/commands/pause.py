"""`pause`: pauses runs."""

from __future__ import annotations

from typing import Annotated

import typer

from holdfast.cli.commanding import ByOption, KeyOption, command_runs
from holdfast.cli.exit_code import ExitCode
from holdfast.cli.options import JsonOption
from holdfast.cli.run_selection import RunSelection

NOW = "now"  # name of the option in the file of a job

EXAMPLES = """
    $ pause researcher-3f9a12bc
    $ pause researcher-3f9a12bc --now
    $ pause --where 'AgentTags = "team=search"'
"""


async def pause(
    *,
    now: Annotated[
        bool, typer.Option("--now", help="Also stop the calls in flight; the model is asked again after the pause.")
    ] = False,
    key: KeyOption = None,
    by: ByOption = None,
    runs: RunSelection,
    json: JsonOption = False,
) -> ExitCode:
    """Pauses a run: nothing new starts until it is resumed.

    Calls in flight end and are recorded. The time limit of the run does not count the
    pause. A paused run stays paused over restarts and upgrades.

    With --where, it pauses all active runs that match a list filter of Temporal, as
    `cancel --where` stops them.
    """
    return await command_runs(
        "pause",
        lambda run, options, **sender: run.pause(now=NOW in options, **sender),
        runs,
        key=key,
        by=by,
        said="{run} pauses; `resume` continues it",
        done="paused",
        states="ExecutionStatus = 'Running' AND AgentStatus != 'paused'",
        json=json,
        options={NOW: "yes"} if now else {},
    )
