"""Record ids, names and times as SurrealQL reads them, so that they can be pasted into the next statement."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from surrealdb import RecordID

BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def record_text(record: RecordID) -> str:
    """A record id: `run:⟨researcher-1⟩`, `event:['researcher-1', 4]`."""
    key = name_text(record.id) if isinstance(record.id, str) else _literal(record.id)
    return f"{name_text(record.table_name)}:{key}"


def name_text(name: str) -> str:
    """A name, in brackets if it needs them."""
    if BARE.fullmatch(name):
        return name
    escaped = name.replace("\\", "\\\\").replace("⟩", "\\⟩")
    return f"⟨{escaped}⟩"


def time_text(moment: datetime) -> str:
    """A time in UTC: `2026-11-21T06:00:00Z`."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _literal(value: Any) -> str:
    write = next((write for kind, write in _LITERALS.items() if isinstance(value, kind)), str)
    return write(value)


def _string(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _object(value: dict[str, Any]) -> str:
    parts = (f"{json.dumps(name, ensure_ascii=False)}: {_literal(part)}" for name, part in value.items())
    return "{ " + ", ".join(parts) + " }"


_LITERALS: dict[type, Callable[[Any], str]] = {
    type(None): lambda _: "NONE",
    bool: lambda value: str(value).lower(),  # before int, its base class
    str: _string,
    uuid.UUID: lambda value: f"u'{value}'",
    datetime: lambda value: f"d'{time_text(value)}'",
    RecordID: record_text,
    list: lambda value: "[" + ", ".join(map(_literal, value)) + "]",
    dict: _object,
}
