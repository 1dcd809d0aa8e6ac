"""`inbox`: what waits for a person."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from holdfast.cli.options import JsonOption
from holdfast.cli.render.inbox import show_inbox
from holdfast.cli.render.output import Output
from holdfast.cli.session import connected

EXAMPLES = """
    $ inbox
    $ inbox --watch
    $ inbox --json
"""


async def inbox(
    watch: Annotated[bool, typer.Option("--watch", help="Then show each new item as it comes, until Ctrl-C.")] = False,
    json: JsonOption = False,
) -> None:
    """Lists everything that waits for a person, over all runs.

    Each line is followed by the commands that end the wait. With --json and --watch,
    each line is one JSON object.
    """
    out = Output(json=json)
    async with connected(out) as session:
        if watch:
            async for each in session.runs.watch_inbox():
                if json:
                    out.line(each.model_dump(mode="json"))
                else:
                    show_inbox(out, [each], datetime.now(UTC))
            return
        found = await session.runs.inbox()
    if json:
        out.document([each.model_dump(mode="json") for each in found])
    elif found:
        show_inbox(out, found, datetime.now(UTC))
    else:
        out.note("nothing waits for a person")
