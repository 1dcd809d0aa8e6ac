"""`emit`: wakes the runs that wait for an event."""

from __future__ import annotations

import json as json_
import sys
from typing import Annotated, Any

import typer

from holdfast.cli.commanding import ByOption, user
from holdfast.cli.options import JsonOption
from holdfast.cli.render.output import Output
from holdfast.cli.session import connected
from holdfast.errors import UsageError

EXAMPLES = """
    $ emit "deploy finished"
    $ emit "deploy finished" '{"version": "1.4", "ok": true}'
    $ emit "deploy finished" - --id deploy-1.4 < result.json
"""


async def emit(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The event's name.", show_default=False)],
    data: Annotated[
        str, typer.Argument(metavar="JSON", help="What the runs are told; - reads it from stdin.")
    ] = "null",
    *,
    event_id: Annotated[
        str | None,
        typer.Option("--id", metavar="ID", help="Idempotency key: within an hour, the event counts once."),
    ] = None,
    by: ByOption = None,
    json: JsonOption = False,
) -> None:
    """Emits an event, which wakes every run that waits for it.

    Runs wait with the tool `wait_for_event`. One that begins to wait for this name within
    the next hour receives the event, too.
    """
    out = Output(json=json)
    value = _parsed(sys.stdin.read() if data == "-" else data)
    async with connected(out) as session:
        await session.runs.emit(name, value, id=event_id, by=by or user())
    if json:
        out.document({"name": name, "emitted": True})
    else:
        out.say(f"emitted {name}")


def _parsed(text: str) -> Any:
    try:
        return json_.loads(text)
    except ValueError as error:
        raise UsageError(f"the event's data is not JSON: {error}; a text needs quotes: '\"done\"'") from None
