"""`events` and `publish`: the event bus, for people and scripts."""

from __future__ import annotations

import json as json_
import sys
from collections.abc import AsyncIterator
from typing import Annotated, Any

import typer

from holdfast.cli.options import JsonOption
from holdfast.cli.render.output import Output
from holdfast.cli.render.text import cut, one_line
from holdfast.cli.storage import opened_persistence
from holdfast.composition.event_bus import is_reachable
from holdfast.errors import EventsPruned, StoreUnavailable, SubscriberTooSlow, UsageError
from holdfast.events import RUNS, BusEvent, run_topic
from holdfast.ports import EventBus
from holdfast.settings import Settings

EXAMPLES = """
    $ events
    $ events --follow --after 120
    $ events --run researcher-3f9a12bc --follow
    $ events orders --json | jq .data.id
"""

PUBLISH_EXAMPLES = """
    $ publish orders '{"id": 17, "state": "paid"}'
    $ publish orders '{"id": 17}' --key order-17-paid
    $ publish orders - < event.json
"""

NOT_SHARED = "with these settings events stay in the process that publishes them: nobody else can read or add any"
EXAMPLE = '{"id": 17}'

JsonLinesOption = Annotated[bool, typer.Option("--json", help="One JSON object a line, nothing cut.")]


async def events(
    topic: Annotated[
        str, typer.Argument(metavar="TOPIC", help="Whose events; without one, what becomes of runs.")
    ] = RUNS,
    *,
    run: Annotated[
        str | None, typer.Option("--run", metavar="ID", help="What goes on in this run, in place of a topic.")
    ] = None,
    after: Annotated[
        int, typer.Option("--after", metavar="N", min=0, help="Only events after offset N: those that are new to you.")
    ] = 0,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for more, until Ctrl-C.")] = False,
    json: JsonLinesOption = False,
) -> None:
    """Prints the events of a topic, oldest first, one a line.

    Each begins with its offset: --after it, the next call prints what has come
    since, without gap or repeat. A run's topic has what is there only while it
    happens: text as it is written. A ~ marks such events.
    """
    out = Output(json=json)
    settings = Settings.load()
    if run is not None and topic != RUNS:
        raise UsageError("a topic and --run exclude each other")
    name = topic if run is None else run_topic(run)
    _check_reachable(settings)
    shown = 0
    async with opened_persistence(settings) as persistence:
        read = _followed if follow else _there
        async for event in read(out, persistence.bus, name, after):
            _show(out, event)
            shown += 1
    if not shown:
        out.note(f"no events of topic {name!r}" + (f" after {after}" if after else ""))


async def publish(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="To whom.", show_default=False)],
    event: Annotated[
        str, typer.Argument(metavar="JSON", help="A JSON object; - reads it from stdin.", show_default=False)
    ],
    *,
    key: Annotated[
        str | None,
        typer.Option("--key", metavar="KEY", help="Publish once: what has this key already is not published again."),
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


async def _there(out: Output, bus: EventBus, topic: str, after: int) -> AsyncIterator[BusEvent]:
    """What is there now."""
    while True:
        try:
            page = await bus.read(topic, after)
        except EventsPruned as error:
            out.warn(str(error))
            after = error.resume_after
            continue
        for event in page:
            yield event
        if not page:
            return
        after = page[-1].offset


async def _followed(out: Output, bus: EventBus, topic: str, after: int) -> AsyncIterator[BusEvent]:
    """What is there, and what comes."""
    place: int | None = after
    while place is not None:
        try:
            async with bus.subscribe(topic, place) as found:
                async for event in found:
                    yield event
            place = None
        except SubscriberTooSlow as error:
            if isinstance(error, EventsPruned):
                out.warn(str(error))
            place = error.resume_after


def _show(out: Output, event: BusEvent) -> None:
    data = json_.dumps(event.data, ensure_ascii=False)
    if out.json:
        out.line({"offset": event.offset, "transient": event.transient, "data": event.data})
        return
    mark = "~" if event.transient else " "
    lead = f"{event.offset:>6}{mark} "
    out.say((lead, "dim"), cut(one_line(data), out.width - len(lead)))


def _parsed(text: str) -> dict[str, Any]:
    try:
        item = json_.loads(text)
    except ValueError as error:
        raise UsageError(f"the event is not JSON: {error}") from None
    if not isinstance(item, dict):
        raise UsageError(f"an event is a JSON object, such as {EXAMPLE}, not {cut(one_line(text), 40)}")
    return item


def _check_reachable(settings: Settings) -> None:
    """Asking must not make a database where there is none."""
    if is_reachable(settings):
        return
    if settings.event_bus_backend == "memory" or settings.is_in_memory:
        raise UsageError(NOT_SHARED)
    raise StoreUnavailable(
        f"there is no database at {settings.store_url.partition('://')[2]} yet: a worker makes it, or `publish`"
    )
