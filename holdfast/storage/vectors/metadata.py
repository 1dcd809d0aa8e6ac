"""Metadata as exact text, and as facets that a search can ask for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from holdfast.errors import UsageError

MAX_LENGTH = 100_000  # characters of JSON; a page of 200 rows then stays within 20 MB
MAX_DEPTH = 100  # levels of lists and objects; JSON parsers fail at some 250


def metadata_text(metadata: Mapping[str, JsonValue]) -> str:
    """Returns metadata as JSON from which the same metadata can be read.

    Raises:
        UsageError: it is not a JSON object, or too large.
    """
    plain = _checked("metadata", metadata)
    text = exact_text(plain)
    if len(text) > MAX_LENGTH:
        raise UsageError(f"the metadata has {len(text)} characters as JSON; at most {MAX_LENGTH} are accepted")
    return text


def exact_text(value: JsonValue) -> str:
    """Compact JSON that every UTF-8 encoder takes."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text


def facets(namespace: str, metadata: Mapping[str, JsonValue]) -> frozenset[str]:
    """A digest for each key with its value: who has all facets of a filter has all its values.

    Values are compared as JSON: `1` and `1.0` are one number, and neither is `true`; objects are equal whatever
    the order of their keys; null is a value, which a key that is missing does not have.

    Raises:
        UsageError: it is not a JSON object.
    """
    plain = _checked("a filter", metadata)
    return frozenset(_digest([namespace, key, _canonical(value)]) for key, value in plain.items())


def facets_of_text(namespace: str, text: str) -> frozenset[str]:
    """Facets of metadata that is exact JSON."""
    return frozenset() if text == "{}" else facets(namespace, json.loads(text))


def _digest(value: JsonValue) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]


def _canonical(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _canonical(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_canonical(inner) for inner in value]
    return value


def _checked(what: str, metadata: object) -> dict[str, JsonValue]:
    if not isinstance(metadata, Mapping):
        raise UsageError(f"{what} must be an object of JSON values by name, not {type(metadata).__name__}")
    plain: dict[str, JsonValue] = _plain(what, dict(metadata), MAX_DEPTH)
    try:
        json.dumps(plain, allow_nan=False)
    except ValueError as error:
        raise UsageError(f"{what} cannot be written as JSON: {error}") from None
    return plain


def _plain(what: str, value: Any, levels: int) -> Any:
    if levels < 0:
        raise UsageError(f"{what} is nested more than {MAX_DEPTH} levels deep")
    if isinstance(value, list | tuple):
        return [_plain(what, inner, levels - 1) for inner in value]
    if isinstance(value, Mapping):
        if wrong := [key for key in value if not isinstance(key, str)]:
            raise UsageError(f"{what} has the key {wrong[0]!r}; keys of JSON are text")
        return {str(key): _plain(what, inner, levels - 1) for key, inner in value.items()}
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise UsageError(f"{what} has a value that is not JSON: {value!r}")
