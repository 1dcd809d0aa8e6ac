"""`cancel`: asks runs to stop."""

from __future__ import annotations

from holdfast.cli.ending import end_runs
from holdfast.cli.exit_code import ExitCode
from holdfast.cli.options import JsonOption
from holdfast.cli.program import command
from holdfast.cli.run_selection import RunSelection

EXAMPLES = """
    $ cancel researcher-3f9a12bc
    $ cancel --where 'AgentName = "x" AND AgentTurn > 50'
    $ cancel --resume
"""


async def cancel(runs: RunSelection, *, json: JsonOption = False) -> ExitCode:
    """Asks a run to stop, and keeps what it has done so far.

    A model call in flight is interrupted, and its partial text is kept. The command
    returns at once; `result` waits for the end.

    With --where, it stops all active runs that match a list filter of Temporal. It
    shows how many there are, asks, and keeps their ids in a file, so that --resume
    continues after an interruption, and processes no run twice.
    """
    return await end_runs(
        "cancel",
        lambda run, _options: run.cancel(),
        runs,
        said=lambda run_id: f"{run_id} was asked to stop; to wait for its end: {command('result', run_id)}",
        done="asked to stop",
        json=json,
    )
