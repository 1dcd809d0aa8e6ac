"""A check of JSON values against the schemas that tools have.

It knows the keywords of the schemas that are made from function signatures. Other keywords are ignored, as the tool
itself checks its arguments once more when it is called.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

MAX_FAULTS = 10  # named at once
SHOWN_CHARS = 80  # of a wrong value
MAX_PATTERN_CHARS = 2_000  # of a text that a pattern is matched with: a pattern can need very long for a long text
MAX_DEPTH = 64  # of the value, and of references that lead to each other

Schema = Mapping[str, Any]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_integer(value: Any) -> bool:
    return _is_number(value) and (isinstance(value, int) or value.is_integer())


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_array(value: Any) -> bool:
    return isinstance(value, list)


_TYPES: dict[str, Callable[[Any], bool]] = {
    "string": _is_text,
    "integer": _is_integer,
    "number": _is_number,
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "array": _is_array,
    "object": lambda value: isinstance(value, dict),
}
_LIMITS: dict[str, tuple[Callable[[Any], bool], Callable[[Any, Any], bool], str]] = {
    "minimum": (_is_number, lambda value, limit: value >= limit, "must be at least {}"),
    "maximum": (_is_number, lambda value, limit: value <= limit, "must be at most {}"),
    "exclusiveMinimum": (_is_number, lambda value, limit: value > limit, "must be more than {}"),
    "exclusiveMaximum": (_is_number, lambda value, limit: value < limit, "must be less than {}"),
    "minLength": (_is_text, lambda value, limit: len(value) >= limit, "must have at least {} characters"),
    "maxLength": (_is_text, lambda value, limit: len(value) <= limit, "must have at most {} characters"),
    "minItems": (_is_array, lambda value, limit: len(value) >= limit, "must have at least {} items"),
    "maxItems": (_is_array, lambda value, limit: len(value) <= limit, "must have at most {} items"),
}
"""By keyword: the values that it is about, what it demands, and what is said otherwise."""


def faults(value: Any, schema: Schema) -> list[str]:
    """Returns what is wrong with a value, at most MAX_FAULTS sentences; none if it matches the schema."""
    found = []
    for fault in _faults(value, schema, schema, "", 0):
        found.append(fault)
        if len(found) == MAX_FAULTS:
            break
    return found


def _faults(value: Any, schema: Any, root: Schema, place: str, depth: int) -> Iterator[str]:
    if not isinstance(schema, Mapping):
        if schema is False:
            yield _said(place, "is not accepted", value)
        return
    if depth > MAX_DEPTH:
        yield _said(place, f"is nested more than {MAX_DEPTH} levels deep", None)
        return
    if isinstance(reference := schema.get("$ref"), str):
        yield from _faults(value, _resolved(reference, root), root, place, depth + 1)
    yield from _of_value(value, schema, place)
    yield from _of_choices(value, schema, root, place, depth)
    if isinstance(value, dict):
        yield from _of_object(value, schema, root, place, depth)
    if isinstance(value, list):
        yield from _of_array(value, schema, root, place, depth)


def _of_value(value: Any, schema: Schema, place: str) -> Iterator[str]:
    wanted = schema.get("type")
    kinds = wanted if isinstance(wanted, list) else [wanted]
    checks = [_TYPES[kind] for kind in kinds if kind in _TYPES]
    if checks and not any(check(value) for check in checks):
        yield _said(place, f"must be {' or '.join(map(str, kinds))}", value)
        return
    if "enum" in schema and not any(_same(value, choice) for choice in schema["enum"]):
        yield _said(place, f"must be one of {', '.join(map(_shown, schema['enum']))}", value)
    if "const" in schema and not _same(value, schema["const"]):
        yield _said(place, f"must be {_shown(schema['const'])}", value)
    for keyword, (concerns, holds, told) in _LIMITS.items():
        limit = schema.get(keyword)
        if _is_number(limit) and concerns(value) and not holds(value, limit):
            yield _said(place, told.format(limit), value)
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and isinstance(value, str) and not _matches(pattern, value):
        yield _said(place, f"must match {pattern}", value)


def _of_choices(value: Any, schema: Schema, root: Schema, place: str, depth: int) -> Iterator[str]:
    for part in schema.get("allOf", ()):
        yield from _faults(value, part, root, place, depth + 1)
    for keyword in ("anyOf", "oneOf"):
        choices = schema.get(keyword)
        if not choices:
            continue
        found = [list(_faults(value, choice, root, place, depth + 1)) for choice in choices]
        if all(found):
            yield (
                min(found, key=len)[0]
                if len(found) == 1
                else _said(place, f"matches none of its {len(found)} forms ({min(found, key=len)[0]})", value)
            )


def _of_object(value: dict[str, Any], schema: Schema, root: Schema, place: str, depth: int) -> Iterator[str]:
    properties = schema.get("properties") or {}
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{_inside(place, name)} is required"
    for name, part in value.items():
        if name in properties:
            yield from _faults(part, properties[name], root, _inside(place, name), depth + 1)
        elif (others := schema.get("additionalProperties", True)) is False:
            yield f"{_inside(place, name)} is not known; known: {', '.join(properties) or 'none'}"
        else:
            yield from _faults(part, others, root, _inside(place, name), depth + 1)


def _of_array(value: list[Any], schema: Schema, root: Schema, place: str, depth: int) -> Iterator[str]:
    first = schema.get("prefixItems") or []
    for number, item in enumerate(value):
        part = first[number] if number < len(first) else schema.get("items", True)
        yield from _faults(item, part, root, f"{place}[{number}]", depth + 1)


def _resolved(reference: str, root: Schema) -> Any:
    """Returns what `#/$defs/Name` stands for; an unknown reference accepts every value."""
    found: Any = root
    for part in reference.removeprefix("#/").split("/"):
        found = found.get(part.replace("~1", "/").replace("~0", "~"), True) if isinstance(found, Mapping) else True
    return found


def _matches(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text[:MAX_PATTERN_CHARS]) is not None
    except re.error:  # a pattern of another language; the tool itself knows it
        return True


def _same(value: Any, other: Any) -> bool:
    return isinstance(value, bool) == isinstance(other, bool) and bool(value == other)


def _inside(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _said(place: str, what: str, value: Any) -> str:
    return f"{place or 'it'} {what} (got {_shown(value)})"


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN_CHARS else f"{text[: SHOWN_CHARS - 1]}…"
