"""`deny`: refuses a call."""

from __future__ import annotations

from typing import Annotated

import typer

from holdfast.cli.commanding import ByOption, KeyOption, user
from holdfast.cli.commands.approve import CallArgument
from holdfast.cli.exit_code import ExitCode
from holdfast.cli.open_waits import decide
from holdfast.cli.options import JsonOption, RunIdArgument

EXAMPLES = """
    $ deny clerk-3f9a12bc 2/call_1 --reason "pay at most 50"
    $ deny clerk-3f9a12bc --all
"""


async def deny(
    run_id: RunIdArgument,
    call: CallArgument = None,
    *,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Why; the agent reads it.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Deny each call of the run that waits.")] = False,
    key: KeyOption = None,
    by: ByOption = None,
    json: JsonOption = False,
) -> ExitCode:
    """Denies a call that waits for a person's approval.

    The call is not made. The agent is told who refused it and why, and continues.
    """
    return await decide(
        run_id,
        call,
        lambda run, each: run.deny(each, reason=reason, id=key, by=by or user()),
        everything=everything,
        key=key,
        done="denied",
        json=json,
    )
