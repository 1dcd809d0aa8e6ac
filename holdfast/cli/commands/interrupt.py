"""`interrupt`: stops the current turn of a run."""

from __future__ import annotations

from typing import Annotated

import typer

from holdfast.cli.attaching import AttachOption, message_of
from holdfast.cli.commanding import ByOption, KeyOption, send_command, user
from holdfast.cli.options import JsonOption, RunIdArgument

EXAMPLES = """
    $ interrupt researcher-3f9a12bc
    $ interrupt researcher-3f9a12bc "Only the summary, please."
    $ interrupt album-1 "This one." --attach second.png
"""


async def interrupt(
    run_id: RunIdArgument,
    text: Annotated[
        str | None,
        typer.Argument(metavar="TEXT", help="A message that the agent continues with.", show_default=False),
    ] = None,
    *,
    attach: AttachOption = None,
    key: KeyOption = None,
    by: ByOption = None,
    json: JsonOption = False,
) -> None:
    """Stops the current turn of a run, but not the run.

    The text and the results so far are kept. With TEXT, the agent continues with it at
    once. Without, a session waits for a message, and any other run pauses.
    """
    await send_command(
        run_id,
        lambda run: run.interrupt(message_of(text, attach), id=key, by=by or user()),
        done="the turn of {run} was stopped",
        json=json,
    )
