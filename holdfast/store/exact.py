"""The exact JSON text of entries and summaries: what is stored beside the fields, and what is restored.

A database changes some values in silence (integers of 64 bits and more, keys that are None, NUL). Text survives.
"""

from __future__ import annotations

import json
from typing import Any

from holdfast.types import Entry, RunSummary


def entry_text(entry: Entry) -> str:
    """An entry as text."""
    return _dumps({**dict(entry), "at": entry.at.isoformat()})


def entry_from(text: str) -> Entry:
    """The entry that `entry_text` wrote; its digest still fits."""
    return Entry.model_validate(json.loads(text))


def summary_text(summary: RunSummary) -> str:
    """A run's summary as text."""
    return _dumps(summary.model_dump(mode="json"))


def summary_from(text: str) -> RunSummary:
    """The summary that `summary_text` wrote."""
    return RunSummary.model_validate(json.loads(text))


def _dumps(value: dict[str, Any]) -> str:
    """Compact JSON that every UTF-8 encoder takes; NUL is always escaped, a lone surrogate where there is one."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"))
    return text
