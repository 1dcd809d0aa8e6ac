"""A parser of JSON definitions."""

from __future__ import annotations

import json
from typing import Any

from holdfast.storage.registry.documents.format import Document, NotReadable


def parse_json(text: str) -> Document:
    """Parses JSON; line numbers of keys are unknown.

    Raises:
        NotReadable: the text is not JSON, or has a duplicate key.
    """
    try:
        return Document(json.loads(text, object_pairs_hook=_without_repeats, parse_constant=_refuse), {})
    except json.JSONDecodeError as error:
        raise NotReadable(error.msg, error.lineno) from None


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in pairs:
        if key in values:
            raise NotReadable(f"the key {key!r} appears twice")
        values[key] = value
    return values


def _refuse(constant: str) -> Any:
    raise NotReadable(f"{constant} is not JSON")
