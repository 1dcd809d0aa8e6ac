"""The exact JSON text of entries and summaries, which is stored beside their fields and from which they are restored.

A database silently changes some values (large integers, keys that are None, NUL); text survives. Fields that a newer
version has added are read, kept and written again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from holdfast.errors import MirrorDamaged
from holdfast.progress import Wait
from holdfast.types import Entry, RunSummary


def entry_text(entry: Entry) -> str:
    """Returns an entry as JSON."""
    fields = {name: getattr(entry, name) for name in Entry.model_fields}
    return _dumps({**fields, **(entry.model_extra or {}), "at": entry.at.isoformat()})


def entry_from(text: str) -> Entry:
    """Parses an entry from `entry_text`; its digest is still valid.

    Raises:
        MirrorDamaged: the text is not what `entry_text` wrote.
    """
    with _readable():
        return Entry.model_validate(json.loads(text), extra="allow")


def summary_text(summary: RunSummary) -> str:
    """Returns a run's summary as JSON."""
    return _dumps(summary.model_dump(mode="json"))


def summary_from(text: str) -> RunSummary:
    """Parses a summary from `summary_text`.

    Raises:
        MirrorDamaged: the text is not what `summary_text` wrote.
    """
    with _readable():
        return RunSummary.model_validate(json.loads(text), extra="allow")


def wait_text(wait: Wait) -> str:
    """Returns a wait as JSON."""
    return _dumps(wait.model_dump(mode="json", exclude_unset=True))


def wait_from(text: str) -> Wait:
    """Parses a wait from `wait_text`.

    Raises:
        MirrorDamaged: the text is not what `wait_text` wrote.
    """
    with _readable():
        return Wait.model_validate(json.loads(text))


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError) as error:
        raise MirrorDamaged(f"a row of the mirror cannot be read: {error}. Repair it with `doctor rebuild`") from error


def _dumps(value: dict[str, Any]) -> str:
    """Returns compact JSON that every UTF-8 encoder accepts: NUL and lone surrogates are escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"))
    return text
