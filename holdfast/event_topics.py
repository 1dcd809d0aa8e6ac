"""Events that runs wait for by name: what is emitted, who waits, and what an `EventTopic` workflow keeps."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, Field, TypeAdapter, ValidationError

from holdfast.bounds import Json, Label, Text, name_fault
from holdfast.errors import UsageError
from holdfast.rejection import reason_of
from holdfast.types import RunId, Tolerant

EVENT_WINDOW = timedelta(hours=1)
"""How long an event is kept for runs that begin to wait after it."""
MAX_KEPT_BYTES = 512 * 1024
"""Of the events of one name that are kept, as JSON; a workflow carries them when it continues as new."""
MAX_EVENT_BYTES = 64 * 1024
"""Of one event's data, as JSON."""
MAX_WAITERS = 5_000
"""Runs that wait for one name; a workflow carries them, too."""
MAX_NAME_CHARS = 200

EXAMPLE = '{"data": {"state": "done"}}'


def _event_name(name: str) -> str:
    fault = name_fault(name)
    if fault is None and len(name) > MAX_NAME_CHARS:
        fault = f"it has {len(name):,} characters, but at most {MAX_NAME_CHARS} are accepted"
    if fault:
        raise ValueError(fault)
    return name


def _data(value: Json) -> Json:
    size = len(json.dumps(value))
    if size > MAX_EVENT_BYTES:
        raise ValueError(
            f"it has {size:,} bytes as JSON, but at most {MAX_EVENT_BYTES:,} are accepted; emit a reference to it"
        )
    return value


EventName = Annotated[Text, AfterValidator(_event_name)]
EventData = Annotated[Json, AfterValidator(_data)]


_NAME: TypeAdapter[str] = TypeAdapter(EventName)


def checked_event_name(name: str) -> str:
    """Returns the name of an event.

    Raises:
        ValidationError: it is not accepted.
    """
    return _NAME.validate_python(name)


class EmittedEvent(Tolerant):
    """An event, as the one who emits it sends it."""

    data: EventData = None
    """What the runs that wait for it are told."""
    id: Annotated[Text, Field(min_length=1, max_length=MAX_NAME_CHARS)] | None = None
    """Idempotency key: within EVENT_WINDOW, an event with a known id is not emitted again."""
    by: Label | None = None
    """Who emitted it."""


def emitted_event(data: Any, *, id: str | None, by: str | None) -> EmittedEvent:  # noqa: A002 - the field's word
    """Returns an event.

    Raises:
        UsageError: a part is not accepted.
    """
    try:
        return EmittedEvent(data=data, id=id, by=by)
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"the event cannot be emitted: {first['loc'][0]}: {reason_of(first)}") from None


class KeptEvent(EmittedEvent):
    """An event with its place among those of its name."""

    offset: int
    """Increases with each event of a name, also after the workflow that kept the earlier ones has ended."""
    at: AwareDatetime
    """When the workflow received it."""


class EventWaiter(Tolerant):
    """A run that waits for the next event of a name."""

    run_id: RunId
    wait: str
    """Id of the run's wait."""
    after: int = 0
    """Offset of the newest event of this name that the run has received."""
    since: AwareDatetime
    """Earlier events are not for it: usually the start of the run."""


class EventTopicState(Tolerant):
    """The input of an `EventTopic` workflow, and what it carries when it continues as new."""

    name: EventName
    events: list[KeptEvent] = []
    """Oldest first."""
    waiters: list[EventWaiter] = []


def event_topic_id(task_queue: str, name: str) -> str:
    """Returns the id of the `EventTopic` workflow of a name, for the runs of a task queue."""
    return f"event/{task_queue}/{name}"
