"""`rerun`: starts a run with the input of another one."""

from __future__ import annotations

from typing import Annotated

import typer

from holdfast.cli.exit_code import ExitCode
from holdfast.cli.options import JsonOption, RunIdArgument
from holdfast.cli.render.output import Output
from holdfast.cli.session import connected
from holdfast.cli.started_run import Mode, ModeOption, NewIdOption, show_run

EXAMPLES = """
    $ rerun researcher-3f9a12bc
    $ rerun researcher-3f9a12bc --latest --mode background
"""


async def rerun(
    run_id: RunIdArgument,
    *,
    latest: Annotated[
        bool, typer.Option("--latest", help="Use the agent as it is now. Default: as it was then.")
    ] = False,
    new_id: NewIdOption = None,
    mode: ModeOption = Mode.STREAMING,
    json: JsonOption = False,
) -> ExitCode:
    """Starts a run with the input of another one.

    The new run has the same input, agent, limits, tags and, if one was named, the same
    workspace. A fork is forked again from where it began. Exit codes are those of
    `run`.
    """
    out = Output(json=json)
    async with connected(out, whole=True) as session:
        handle = await session.run(run_id).rerun(latest=latest, id=new_id)
        return await show_run(session, handle, mode)
