"""The rows of what runs wait for."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from pydantic import ValidationError
from surrealdb import RecordID

from holdfast.progress import Wait
from holdfast.storage.mirror.json_text import wait_text
from holdfast.types import Entry, RunId

Values = dict[str, Any]


def wait_id(run: RunId, began: int) -> RecordID:
    """Returns the id of the row of a wait that entry `began` records."""
    return RecordID("wait", [run, began])


def wait_values(entry: Entry) -> Values | None:
    """Returns the columns of a wait that begins; `None` if the entry has none that this version can read."""
    try:
        wait = Wait.model_validate(entry.data.get("wait"))
    except ValidationError:
        return None
    return {
        "wait": wait.id,
        "kind": wait.kind,
        "what": wait.what,
        "since": wait.since.astimezone(UTC),
        "until": wait.until and wait.until.astimezone(UTC),
        "open": True,
        "text": wait_text(wait),
    }


def end_values(entry: Entry) -> Values:
    """Returns the columns that the end of a wait sets."""
    by = entry.data.get("by")
    return {
        "open": False,
        "ended": entry.seq,
        "ended_at": entry.at.astimezone(UTC),
        "outcome": str(entry.data.get("outcome", "")),
        "by": by if isinstance(by, str) else None,
    }


def began(entry: Entry) -> int | None:
    """Returns the number of the entry with which a wait began that this one ends; `None` if it does not say."""
    seq = entry.data.get("began")
    return seq if isinstance(seq, int) and not isinstance(seq, bool) else None
