"""`fork`: starts a run from a point of another one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.attaching import AttachOption, message_of
from holdfast.cli.budgets import BudgetOptions
from holdfast.cli.exit_code import ExitCode
from holdfast.cli.options import JsonOption, RunIdArgument, at_least, models_of, seconds
from holdfast.cli.render.output import Output
from holdfast.cli.session import connected
from holdfast.cli.started_run import ModeOption, NewIdOption, check_folder, show_run
from holdfast.errors import UsageError
from holdfast.run_status import TaskExecutionMode

EXAMPLES = """
    $ fork q-1 --at 2 --message "Look in the archive, too."
    $ fork q-1 --at 2 --model gpt-5-mini --mode background
    $ fork q-1 --at 0 --system-prompt "Answer in one sentence."
    $ fork q-1 --at 3 --tool-result call_7="no such file"
    $ fork q-1 --message "And this one?" --attach second.png
"""


async def fork(
    run_id: RunIdArgument,
    *,
    at: Annotated[
        str | None,
        typer.Option(metavar="POINT", help="A turn (3), a message (message-5) or a checkpoint. Default: the end."),
    ] = None,
    message: Annotated[str | None, typer.Option(metavar="TEXT", help="A message to the agent that follows.")] = None,
    attach: AttachOption = None,
    model: Annotated[str | None, typer.Option(metavar="M[,M…]", help="Another model.")] = None,
    system_prompt: Annotated[str | None, typer.Option(metavar="TEXT", help="Another system prompt.")] = None,
    tool_result: Annotated[
        list[str] | None,
        typer.Option(metavar="CALL=TEXT", help="Another result of a call, named by its id, or as 3/ID (turn 3)."),
    ] = None,
    workspace: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder that the fork works in. Default: a copy of the run's.")
    ] = None,
    max_turns: Annotated[
        int | None,
        typer.Option(metavar="N", callback=at_least(1), help="Model calls of the fork at most. Default: the run's."),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(metavar="S", callback=seconds, help="Seconds that the fork may take. Default: the run's limit."),
    ] = None,
    limits: BudgetOptions,
    fork_id: NewIdOption = None,
    mode: ModeOption = TaskExecutionMode.STREAMING,
    json: JsonOption = False,
) -> ExitCode:
    """Starts a run from a point of another one, with changes.

    The fork begins with a copy of the run's log up to the point, and of its workspace
    at that point; a folder that --workspace had named is copied as it is now. The run
    may be active or ended; it is not changed, and the fork does not need it
    afterwards. Tool calls that have no result at the point are not made. Tokens, cost
    and limits of the fork count from 0. Exit codes are those of `run`.
    """
    out = Output(json=json)
    results = _results(tool_result or [])
    check_folder(workspace)
    async with connected(out, whole=True) as session:
        handle = await session.run(run_id).fork(
            at,
            message=message_of(message, attach),
            model=models_of(model),
            system_prompt=system_prompt,
            tool_results=results,
            id=fork_id,
            max_turns=max_turns,
            timeout=timeout,
            workspace=workspace,
            budget=limits.budget(),
        )
        return await show_run(session, handle, mode)


def _results(given: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in given:
        call, is_given, text = each.partition("=")
        if not call or not is_given:
            raise UsageError(f"--tool-result {each!r} is not CALL=TEXT; `transcript ID --json` shows the ids of calls")
        if call in found:
            raise UsageError(f"--tool-result names call {call!r} twice")
        found[call] = text
    return found
