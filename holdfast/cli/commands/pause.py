"""`pause`: pauses a run."""

from __future__ import annotations

from typing import Annotated

import typer

from holdfast.cli.commanding import KeyOption, send_command, user
from holdfast.cli.options import JsonOption, RunIdArgument

EXAMPLES = """
    $ pause researcher-3f9a12bc
    $ pause researcher-3f9a12bc --now
"""


async def pause(
    run_id: RunIdArgument,
    *,
    now: Annotated[
        bool, typer.Option("--now", help="Also stop the calls in flight; the model is asked again after the pause.")
    ] = False,
    key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Pauses a run: nothing new starts until it is resumed.

    Calls in flight end and are recorded. The time limit of the run does not count the
    pause. A paused run stays paused over restarts and upgrades.
    """
    await send_command(
        run_id, lambda run: run.pause(now=now, id=key, by=user()), done="{run} pauses; `resume` continues it", json=json
    )
