"""The exact JSON text of entries and summaries: what is stored beside the fields, and what is restored.

A database changes some values in silence (integers of 64 bits and more, keys that are None, NUL). Text survives.
What a newer version wrote into it beside what this one knows is read, kept and written again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from holdfast.errors import MirrorDamaged
from holdfast.types import Entry, RunSummary


def entry_text(entry: Entry) -> str:
    """An entry as text."""
    return _dumps({**dict(entry), "at": entry.at.isoformat()})


def entry_from(text: str) -> Entry:
    """The entry that `entry_text` wrote; its digest still fits.

    Raises:
        MirrorDamaged: the text is not what `entry_text` wrote.
    """
    with _readable():
        return Entry.model_validate(json.loads(text), extra="allow")


def summary_text(summary: RunSummary) -> str:
    """A run's summary as text."""
    return _dumps(summary.model_dump(mode="json"))


def summary_from(text: str) -> RunSummary:
    """The summary that `summary_text` wrote.

    Raises:
        MirrorDamaged: the text is not what `summary_text` wrote.
    """
    with _readable():
        return RunSummary.model_validate(json.loads(text), extra="allow")


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError) as error:
        raise MirrorDamaged(f"a row of the mirror cannot be read, `doctor rebuild` repairs it: {error}") from error


def _dumps(value: dict[str, Any]) -> str:
    """Compact JSON that every UTF-8 encoder takes; NUL is always escaped, a lone surrogate where there is one."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"))
    return text
