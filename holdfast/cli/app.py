"""The command line as a whole: every verb, under its name."""

from __future__ import annotations

import typer

from holdfast.cli import agents, demo, run, runs, show, stack, worker
from holdfast.cli.command import register
from holdfast.cli.program import name

SETTINGS = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    help=f"""Runs AI agents that do not die.

    \b
    Begin with:
      {name()} run researcher "What is promised?" --workspace docs
      {name()} list
    Commands start the local stack when they need it, unless TEMPORAL_ADDRESS
    names a server.""",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings=SETTINGS,
)

register(app, "run", run.run, examples=run.EXAMPLES)
register(app, "list", runs.list_runs, examples=runs.LIST_EXAMPLES)
register(app, "show", show.show, examples=show.EXAMPLES)
register(app, "watch", runs.watch, examples=runs.WATCH_EXAMPLES)
register(app, "result", runs.result, examples=runs.RESULT_EXAMPLES)
register(app, "transcript", runs.transcript, examples=runs.TRANSCRIPT_EXAMPLES)
register(app, "cancel", runs.cancel, examples=runs.CANCEL_EXAMPLES)
register(app, "terminate", runs.terminate, examples=runs.TERMINATE_EXAMPLES)
register(app, "agents", agents.agents, examples=agents.EXAMPLES)
register(app, "up", stack.up, examples=stack.UP_EXAMPLES)
register(app, "down", stack.down, examples=stack.DOWN_EXAMPLES)
register(app, "status", stack.status, examples=stack.STATUS_EXAMPLES)
register(app, "worker", worker.worker, examples=worker.EXAMPLES)

_demos = typer.Typer(
    help="Shows what Holdfast is for.", no_args_is_help=True, rich_markup_mode=None, context_settings=SETTINGS
)
register(_demos, "crash", demo.crash, examples=demo.EXAMPLES)
app.add_typer(_demos, name="demo")
