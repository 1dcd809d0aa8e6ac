"""Reasons why a value is not accepted, in words for the person who gave it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_REASONS = {
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be greater than {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be less than {lt}",
    "finite_number": "must be a finite number",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be text",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must match {pattern}",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "too_long": "must have at most {max_length} items",
    "too_short": "must have at least {min_length} items",
    "missing": "is missing",
    "extra_forbidden": "is not a known field",
    "path_type": "must be a path",
}
"""By the type of Pydantic's error; the fields are those of its context."""


def reason_of(error: Mapping[str, Any]) -> str:
    """Returns why a value is not accepted, as `must be at least 1`.

    Args:
        error: one of Pydantic's `ValidationError.errors()`. The message of a validator of ours is returned as it is.
    """
    kind = error["type"]
    if kind not in _REASONS:
        return str(error["msg"]).removeprefix("Value error, ")
    if kind in {"string_too_short", "too_short"} and error["ctx"]["min_length"] == 1:
        return "must not be empty"
    return _REASONS[kind].format(**{name: _shown(value) for name, value in error.get("ctx", {}).items()})


def place_of(error: Mapping[str, Any], *, below: str = "") -> str:
    """Returns where a value stands in what was given, as `tools.0.name`; empty if it is the whole.

    Args:
        error: as in `reason_of`.
        below: the field that the whole is the value of.
    """
    return ".".join([*([below] if below else []), *map(str, error["loc"])])


def _shown(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return f"{value:,}" if isinstance(value, int) else str(value)
