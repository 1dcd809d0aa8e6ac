"""A run that a command has started: its options, and what is shown of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli.exit_code import ExitCode, for_result
from holdfast.cli.following import follow, wait
from holdfast.cli.program import command
from holdfast.cli.render.outcome import Outcome
from holdfast.cli.session import Session
from holdfast.errors import UsageError
from holdfast.run_status import TaskExecutionMode

if TYPE_CHECKING:
    from holdfast.client.run_handle import RunHandle


ModeOption = Annotated[TaskExecutionMode, typer.Option(help="Wait for the end, show everything, or return at once.")]
NewIdOption = Annotated[
    str | None,
    typer.Option("--id", metavar="ID", help="The run's id, which can be used once. Default: a new one."),
]


async def show_run(session: Session, run: RunHandle, mode: TaskExecutionMode) -> ExitCode:
    """Shows a run until it ends, or only how to follow it, and returns the exit code that says how it ended."""
    out = session.out
    if mode is TaskExecutionMode.BACKGROUND:
        _show_started(session, run, has_worker=await session.has_worker())
        return ExitCode.OK
    out.note(f"run {run.id}" + (f" · {ui}" if (ui := session.ui(run.id)) else ""))
    ended = await (wait if mode is TaskExecutionMode.BLOCKING else follow)(session, run)
    Outcome(ended, session.ui(run.id)).show(out, answer=mode is TaskExecutionMode.BLOCKING)
    return for_result(ended)


def check_folder(workspace: Path | None) -> None:
    """Refuses a workspace that is not a folder; `None` names none."""
    if workspace is not None and not workspace.is_dir():
        what = "is not a folder" if workspace.exists() else "does not exist"
        raise UsageError(f"--workspace {str(workspace)!r} {what}; name the folder that the agent works in")


def _show_started(session: Session, run: RunHandle, *, has_worker: bool) -> None:
    out, ui = session.out, session.ui(run.id)
    if out.json:
        out.document({"run_id": run.id, "ui": ui, "worker": has_worker})
        return
    out.say(run.id)
    out.note(f"  follow it:  {command('watch', run.id)}")
    out.note(f"  stop it:    {command('cancel', run.id)}")
    if ui:
        out.note(f"  look:       {ui}")
