"""Validation of topics and events, and their conversion to JSON and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from holdfast.errors import UsageError
from holdfast.events import BusEvent
from holdfast.storage.bus.log import Stored

MAX_TOPIC_CHARS = 1000
MAX_EVENT_BYTES = 1024 * 1024  # of JSON: an event announces that something happened; large data belongs elsewhere
MAX_ITEMS = 500  # per publication: some 0.1 s of the database's time, during which other publishers wait


def checked_topic(topic: str) -> str:
    """Returns the topic, if it is valid.

    Raises:
        UsageError: it is not text, empty, too long, or contains NUL or lone surrogates.
    """
    if not isinstance(topic, str) or not 1 <= len(topic) <= MAX_TOPIC_CHARS:
        raise UsageError(f"a topic must be text of 1 to {MAX_TOPIC_CHARS:,} characters, not {_shown(topic)}")
    if "\0" in topic or any("\ud800" <= character <= "\udfff" for character in topic):
        raise UsageError(f"a topic must not contain NUL or lone surrogates, but {_shown(topic)} does")
    return topic


def checked_texts(items: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Returns the events as JSON.

    Raises:
        UsageError: there are none or too many, or one is not a JSON object or too large.
    """
    if not 1 <= len(items) <= MAX_ITEMS:
        raise UsageError(f"publish takes 1 to {MAX_ITEMS} events at once, not {len(items):,}: split them")
    return tuple(_text(item) for item in items)


def event_from(stored: Stored) -> BusEvent:
    """Returns a new event from its stored text; the caller may modify it."""
    data = json.loads(stored.text)
    return BusEvent.model_construct(offset=stored.offset, data=data, at=stored.at, ephemeral=stored.ephemeral)


def _text(item: Mapping[str, Any]) -> str:
    if not isinstance(item, Mapping):
        raise UsageError(f"an event must be a JSON object, not {_shown(item)}")
    try:
        text = json.dumps(dict(item), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        if json.loads(text) != item:
            raise UsageError(f"an event must be plain JSON, with text keys and lists: {_shown(item)}")
    except (TypeError, ValueError, RecursionError) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"an event must be JSON: {error}") from error
    text = _encodable(text)
    if (size := len(text.encode())) > MAX_EVENT_BYTES:
        raise UsageError(
            f"an event has {size:,} bytes, at most {MAX_EVENT_BYTES:,} are accepted: publish a reference to the data"
        )
    return text


def _encodable(text: str) -> str:
    """Returns equivalent JSON that every UTF-8 encoder accepts."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(json.loads(text), separators=(",", ":"))
    return text


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."
