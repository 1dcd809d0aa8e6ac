"""`events`: the events of a topic."""

from __future__ import annotations

import json as json_
from collections.abc import AsyncIterator, Mapping
from datetime import UTC
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import JsonValue

from holdfast.cli.options import at_least
from holdfast.cli.render.output import Output
from holdfast.cli.render.text import cut, one_line
from holdfast.cli.storage import NOT_SHARED, opened_persistence
from holdfast.errors import EventsPruned, StoreUnavailable, SubscriberTooSlow, UsageError
from holdfast.events import RUNS, BusEvent, run_event, run_topic
from holdfast.settings import Settings
from holdfast.types import RunStatus

if TYPE_CHECKING:
    from holdfast.ports import EventBus

EXAMPLES = """
    $ events
    $ events --follow --after 120
    $ events --run researcher-3f9a12bc --follow
    $ events orders --json | jq .data.id
"""

RUN_EVENT = run_event("", "", RunStatus.RUNNING).keys()
"""The fields of an event about a run."""

JsonLinesOption = Annotated[bool, typer.Option("--json", help="Write one JSON object per line.")]


async def events(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="The topic. Default: starts and ends of runs.")] = RUNS,
    *,
    run: Annotated[
        str | None, typer.Option("--run", metavar="ID", help="What happens in this run, instead of a topic.")
    ] = None,
    after: Annotated[
        int, typer.Option("--after", metavar="N", callback=at_least(0), help="Only events after offset N.")
    ] = 0,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for new events until Ctrl-C.")] = False,
    json: JsonLinesOption = False,
) -> None:
    """Prints the events of a topic, oldest first, one per line.

    Each line starts with the event's offset and its time. A later call with --after and the last
    offset prints the newer events, without gaps or repeats. The topic of a run also
    has the model's text as it streams; a ~ marks such events, which are not kept.
    """
    out = Output(json=json)
    settings = Settings.load()
    if run is not None and topic != RUNS:
        raise UsageError("a topic and --run exclude each other")
    name = topic if run is None else run_topic(run)
    _check_reachable(settings)
    shown = 0
    async with opened_persistence(settings) as persistence:
        read = _follow if follow else _read
        async for event in read(out, persistence.bus, name, after):
            _show(out, event)
            shown += 1
    if not shown:
        out.note(f"no events of topic {name!r}" + (f" after {after}" if after else ""))


async def _read(out: Output, bus: EventBus, topic: str, after: int) -> AsyncIterator[BusEvent]:
    """The events that there are now."""
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


async def _follow(out: Output, bus: EventBus, topic: str, after: int) -> AsyncIterator[BusEvent]:
    """The events that there are now, and new ones."""
    offset: int | None = after
    while offset is not None:
        try:
            async with bus.subscribe(topic, offset) as found:
                async for event in found:
                    yield event
            offset = None
        except SubscriberTooSlow as error:
            if isinstance(error, EventsPruned):
                out.warn(str(error))
            offset = error.resume_after


def _show(out: Output, event: BusEvent) -> None:
    if out.json:
        at = event.at.astimezone(UTC).isoformat()
        out.line({"offset": event.offset, "at": at, "ephemeral": event.ephemeral, "data": event.data})
        return
    mark = "~" if event.ephemeral else " "
    lead = f"{event.offset:>6}{mark} {event.at.astimezone():%m-%d %H:%M:%S}  "
    out.say((lead, "dim"), cut(one_line(_text(event.data)), out.width - len(lead)))


def _text(data: Mapping[str, JsonValue]) -> str:
    """An event as JSON; that of a run in words, as its id alone takes half of a line."""
    if data.keys() == RUN_EVENT and data["kind"] == "run":
        return f"{data['run_id']} {data['status']} ({data['agent']})"
    return json_.dumps(data, ensure_ascii=False)


def _check_reachable(settings: Settings) -> None:
    """Checks that other processes can reach the bus, without creating a database."""
    from holdfast.composition.event_bus import is_reachable  # noqa: PLC0415 - loads the database's client

    if is_reachable(settings):
        return
    if settings.event_bus_backend == "memory" or settings.is_in_memory:
        raise UsageError(NOT_SHARED)
    raise StoreUnavailable(
        f"there is no database at {settings.store_url.partition('://')[2]} yet: a worker or `publish` creates it"
    )
