"""`send`: sends a message to the agent of an open run."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from holdfast.cli.attaching import AttachOption, with_files
from holdfast.cli.commanding import ByOption, KeyOption, send_command, user
from holdfast.cli.options import JsonOption, RunIdArgument
from holdfast.commands import Policy

EXAMPLES = """
    $ send researcher-3f9a12bc "Use the newer figures."
    $ send clerk-1 "Then translate it." --policy enqueue
    $ send researcher-3f9a12bc - < correction.txt
    $ send album-1 "And this one?" --attach second.png
"""


async def send(
    run_id: RunIdArgument,
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="The message; - reads it from stdin.", show_default=False)
    ],
    *,
    policy: Annotated[
        Policy,
        typer.Option(
            help="steer: with the next model call; enqueue: after the answer; "
            "interrupt: stop the turn first; reject: only if the agent waits for a message."
        ),
    ] = Policy.STEER,
    pin: Annotated[
        bool, typer.Option("--pin", help="Keep the message in the model's context when older ones are summarized.")
    ] = False,
    attach: AttachOption = None,
    key: KeyOption = None,
    by: ByOption = None,
    json: JsonOption = False,
) -> None:
    """Sends a message to the agent of an open run.

    By default the agent reads it with its next model call. The run's log shows when a
    message was received, and when the agent was given it.
    """
    message = sys.stdin.read() if text == "-" else text
    await send_command(
        run_id,
        lambda run: run.send(with_files(message, attach), policy=policy, pin=pin, id=key, by=by or user()),
        done="{run} has received the message",
        json=json,
    )
