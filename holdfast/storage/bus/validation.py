"""Checks what is to be published, and turns it into text and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from holdfast.errors import UsageError
from holdfast.events import BusEvent
from holdfast.storage.bus.log import Stored

MAX_TOPIC_CHARS = 1000
MAX_EVENT_BYTES = 1024 * 1024  # of JSON: an event says that something happened; what it is about is kept elsewhere
MAX_ITEMS = 500  # in one publication: some 0.1 s of the database's time, for which other publishers wait


def checked_topic(topic: str) -> str:
    """The topic, if it can be one.

    Raises:
        UsageError: it is no text, empty, too long, or has characters that no database keeps.
    """
    if not isinstance(topic, str) or not 1 <= len(topic) <= MAX_TOPIC_CHARS:
        raise UsageError(f"a topic is text of 1 to {MAX_TOPIC_CHARS:,} characters, not {_shown(topic)}")
    if "\0" in topic or any("\ud800" <= character <= "\udfff" for character in topic):
        raise UsageError(f"a topic has no NUL and no half of a surrogate pair, but {_shown(topic)} has")
    return topic


def checked_texts(items: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Events as JSON.

    Raises:
        UsageError: none, too many, or one that is no JSON object or too large.
    """
    if not 1 <= len(items) <= MAX_ITEMS:
        raise UsageError(f"1 to {MAX_ITEMS} events are published at once, not {len(items):,}")
    return tuple(_text(item) for item in items)


def event_from(stored: Stored) -> BusEvent:
    """The event that a text stands for; each call makes one anew, which its receiver may change."""
    data = json.loads(stored.text)
    return BusEvent.model_construct(offset=stored.offset, data=data, transient=stored.transient)


def _text(item: Mapping[str, Any]) -> str:
    if not isinstance(item, Mapping):
        raise UsageError(f"an event is a JSON object, not {_shown(item)}")
    try:
        text = json.dumps(dict(item), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        if json.loads(text) != item:
            raise UsageError(f"an event would not come back as it is: keys are text, sequences lists; {_shown(item)}")
    except (TypeError, ValueError, RecursionError) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"an event must be JSON: {error}") from error
    text = _encodable(text)
    if (size := len(text.encode())) > MAX_EVENT_BYTES:
        raise UsageError(f"an event has {size:,} bytes, at most {MAX_EVENT_BYTES:,} are taken: say where to find it")
    return text


def _encodable(text: str) -> str:
    """The same JSON, which every UTF-8 encoder takes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(json.loads(text), separators=(",", ":"))
    return text


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."
