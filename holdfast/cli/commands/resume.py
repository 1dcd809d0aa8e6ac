"""`resume`: resumes paused runs."""

from __future__ import annotations

from holdfast.cli.commanding import ByOption, KeyOption, command_runs
from holdfast.cli.exit_code import ExitCode
from holdfast.cli.options import JsonOption
from holdfast.cli.run_selection import RunSelection

EXAMPLES = """
    $ resume researcher-3f9a12bc
    $ resume --where 'AgentTags = "team=search"'
"""


async def resume(
    *, key: KeyOption = None, by: ByOption = None, runs: RunSelection, json: JsonOption = False
) -> ExitCode:
    """Resumes a paused run where it stopped.

    With --where, it resumes all paused runs that match a list filter of Temporal, as
    `cancel --where` stops them.
    """
    return await command_runs(
        "resume",
        lambda run, _options, **sender: run.resume(**sender),
        runs,
        key=key,
        by=by,
        said="{run} continues",
        done="resumed",
        states="ExecutionStatus = 'Running' AND AgentStatus = 'paused'",
        json=json,
    )
