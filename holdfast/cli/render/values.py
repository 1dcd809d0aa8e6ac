"""Values of the database as JSON that loses nothing, and as cells of a table."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from surrealdb import Duration, RecordID, Table

from holdfast.cli.render.surrealql import name_text, record_text, time_text
from holdfast.cli.render.text import one_line

DIGITS = 6  # significant digits of a fraction in a table; --json has them all
SECOND = 10**9  # nanoseconds


def plain(value: Any) -> Any:
    """A value as JSON: record ids, times, durations and the like become the text that SurrealQL reads."""
    if value is None or isinstance(value, bool | int | str):
        return value
    write = next((write for kind, write in _PLAIN.items() if isinstance(value, kind)), str)
    return write(value)


def cell(value: Any) -> str:
    """A value on one line, for people; NONE and NULL are empty."""
    write = next((write for kind, write in _CELLS.items() if isinstance(value, kind)), _text_of)
    return write(value)


def is_id(value: Any) -> bool:
    """Whether a value is the id of a row."""
    return isinstance(value, RecordID)


def is_number(value: Any) -> bool:
    """Whether a value is a number."""
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _text_of(value: Any) -> str:
    shown = plain(value)
    return one_line(shown if isinstance(shown, str) else json.dumps(shown, ensure_ascii=False))


def _duration(value: Duration) -> str:
    seconds, rest = divmod(value.elapsed, SECOND)
    return f"{seconds}s{rest}ns" if rest else f"{seconds}s"


_PLAIN: dict[type, Callable[[Any], Any]] = {
    float: lambda value: value if math.isfinite(value) else str(value),
    dict: lambda value: {str(name): plain(part) for name, part in value.items()},
    list: lambda value: [plain(part) for part in value],
    datetime: time_text,
    bytes: lambda value: base64.b64encode(value).decode(),
    RecordID: record_text,
    Duration: _duration,
    Table: lambda value: name_text(value.table_name),
}
_CELLS: dict[type, Callable[[Any], str]] = {
    type(None): lambda _: "",
    float: lambda value: f"{value:.{DIGITS}g}",
    datetime: lambda value: value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ"),
}
