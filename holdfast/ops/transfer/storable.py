"""The check that rows of an import can be stored, before any is."""

from __future__ import annotations

import math
from typing import Any

from surrealdb import RecordID

from holdfast.bounds import is_encodable

MAX_DEPTH = 64  # levels of lists and objects in a row; the database fails from some 200 on
INT_MIN, INT_MAX = -(2**63), 2**63 - 1


def check_storable(value: Any, depth: int = 0) -> None:
    """Checks a row, or a value in one.

    Raises:
        ValueError: the database would reject it, alter it, or could not read it again.
    """
    if depth > MAX_DEPTH:
        raise ValueError(f"it is nested in more than {MAX_DEPTH} levels")
    match value:
        case str():
            _check_text(value)
        case int() if not INT_MIN <= value <= INT_MAX:
            raise ValueError(f"the number {value} has more than 64 bits")
        case float() if not math.isfinite(value):
            raise ValueError(f"{value} is not a number")
        case RecordID():
            _check_text(value.table_name)
            check_storable(value.id, depth + 1)
        case list() | dict():
            for part in value if isinstance(value, list) else (*value, *value.values()):
                check_storable(part, depth + 1)


def _check_text(text: str) -> None:
    if "\0" in text:
        raise ValueError(f"the text {text[:40]!r} has a NUL")
    if not is_encodable(text):
        raise ValueError(f"the text {text[:40]!r} has half of a surrogate pair")
