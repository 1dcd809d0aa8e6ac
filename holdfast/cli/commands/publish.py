"""`publish`: adds an event to a topic."""

from __future__ import annotations

import json as json_
import sys
from typing import Annotated, Any

import typer

from holdfast.cli.options import JsonOption
from holdfast.cli.render.output import Output
from holdfast.cli.render.text import cut, one_line
from holdfast.cli.storage import NOT_SHARED, opened_persistence
from holdfast.errors import UsageError
from holdfast.settings import Settings

EXAMPLES = """
    $ publish orders '{"id": 17, "state": "paid"}'
    $ publish orders '{"id": 17}' --key order-17-paid
    $ publish orders - < event.json
"""

EXAMPLE = '{"id": 17}'


async def publish(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="The topic.", show_default=False)],
    event: Annotated[
        str, typer.Argument(metavar="JSON", help="A JSON object; - reads it from stdin.", show_default=False)
    ],
    *,
    key: Annotated[
        str | None,
        typer.Option("--key", metavar="KEY", help="Publish only once: an event with this key is not published again."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Publishes an event to a topic, and prints its offset."""
    out = Output(json=json)
    settings = Settings.load()
    item = _parsed(sys.stdin.read() if event == "-" else event)
    if settings.event_bus_backend == "memory" or settings.is_in_memory:
        raise UsageError(NOT_SHARED)
    async with opened_persistence(settings) as persistence:
        offset = await persistence.bus.publish(topic, item, key=key)
    if json:
        out.document({"topic": topic, "offset": offset})
    else:
        out.say(str(offset))


def _parsed(text: str) -> dict[str, Any]:
    try:
        item = json_.loads(text)
    except ValueError as error:
        raise UsageError(f"the event is not JSON: {error}") from None
    if not isinstance(item, dict):
        raise UsageError(f"an event is a JSON object, such as {EXAMPLE}, not {cut(one_line(text), 40)}")
    return item
