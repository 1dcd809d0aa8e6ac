"""`compact`: shortens the context of a run's model."""

from __future__ import annotations

from typing import Annotated

import typer

from holdfast.cli.commanding import ByOption, KeyOption, send_command, user
from holdfast.cli.options import JsonOption, RunIdArgument

EXAMPLES = """
    $ compact plans-1
    $ compact plans-1 --focus "the prices and what was decided"
"""


async def compact(
    run_id: RunIdArgument,
    *,
    focus: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What the summary should keep in particular.")
    ] = None,
    key: KeyOption = None,
    by: ByOption = None,
    json: JsonOption = False,
) -> None:
    """Shortens what the model sees of a run, before its next call.

    Old results of tools are cleared, and old messages are replaced by a summary, which
    the model writes. The transcript stays whole. A run does this by itself when its
    context is nearly full.
    """
    await send_command(
        run_id,
        lambda run: run.compact(focus, id=key, by=by or user()),
        done="{run} compacts its context before the next model call",
        json=json,
    )
