"""`run`: starts a run and follows it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.attaching import AttachOption, with_files
from holdfast.cli.budgets import BudgetOptions, TagOption, tags_of
from holdfast.cli.exit_code import ExitCode
from holdfast.cli.options import (
    ApprovalTimeoutOption,
    ContextOption,
    JsonOption,
    RequireApprovalOption,
    SettingOption,
    at_least,
    context_of,
    models_of,
    seconds,
    settings_of,
)
from holdfast.cli.render.output import Output
from holdfast.cli.served import advised
from holdfast.cli.session import connected
from holdfast.cli.started_run import ModeOption, NewIdOption, check_folder, show_run
from holdfast.errors import UsageError
from holdfast.run_status import TaskExecutionMode

READER = "researcher"
"""The shipped agent that has nothing to read without a workspace."""

EXAMPLES = """
    $ run researcher "What survives a crash?" --workspace docs
    $ run researcher - --workspace . < question.txt
    $ run researcher "Who decides?" --id q-1 --mode background
    $ run researcher "Who decides?" --json --timeout 60
    $ run researcher "Who decides?" --max-cost-usd 0.5
    $ run viewer "What is this?" --attach chart.png
    $ run clerk "Order rope." --context '{"customer": 7}'
"""


async def run(
    agent: Annotated[
        str, typer.Argument(metavar="AGENT", help="The agent's name, as `agents` shows it.", show_default=False)
    ],
    text: Annotated[
        str, typer.Argument(metavar="INPUT", help="What to ask the agent; - reads it from stdin.", show_default=False)
    ],
    *,
    attach: AttachOption = None,
    run_id: NewIdOption = None,
    mode: ModeOption = TaskExecutionMode.STREAMING,
    workspace: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder that the agent works in. Default: a new, empty one."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="M[,M…]",
            help="The model; of several, the first that is available answers. Default: the agent's, else the worker's.",
        ),
    ] = None,
    setting: SettingOption = None,
    max_turns: Annotated[
        int | None,
        typer.Option(metavar="N", callback=at_least(1), help="Model calls at most. Default: the agent's limit."),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(metavar="S", callback=seconds, help="Seconds that the run may take. Default: the agent's limit."),
    ] = None,
    require_approval: RequireApprovalOption = None,
    limits: BudgetOptions,
    tag: TagOption = None,
    context: ContextOption = None,
    approval_timeout: ApprovalTimeoutOption = None,
    json: JsonOption = False,
) -> ExitCode:
    """Runs an agent and shows what happens until the run ends.

    The worker executes the run: Ctrl-C, a closed terminal or a crash of this command
    does not stop it. Exit code: 0 completed, 1 failed, 2 wrong use, 3 a server or
    the worker is unavailable, 124 timed out, 130 cancelled.
    """
    out = Output(json=json)
    question = _read_input(text)
    check_folder(workspace)
    tags, facts, settings = tags_of(tag), context_of(context), settings_of(setting)
    async with connected(out, whole=True) as session:
        with advised(session.compare_worker(), agent):
            handle = await session.runs.start(
                agent,
                with_files(question, attach),
                id=run_id,
                model=models_of(model),
                model_settings=settings,
                max_turns=max_turns,
                timeout=timeout,
                budget=limits.budget(),
                tags=tags,
                context=facts,
                workspace=workspace,
                approve=require_approval,
                approval_timeout=approval_timeout,
            )
        code = await show_run(session, handle, mode)
        if workspace is None and agent == READER and mode is not TaskExecutionMode.BACKGROUND:
            out.note("its workspace was an empty folder; name one with documents for it to read: --workspace DIR")
        return code


def _read_input(text: str) -> str:
    if text != "-":
        return text
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise UsageError(f"the input on stdin is not UTF-8 text: {error}") from None
