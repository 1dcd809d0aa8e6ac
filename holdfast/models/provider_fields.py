"""Fields of messages and tool calls that only their provider understands, such as signatures of its reasoning.

They are stored with the transcript and sent back: without `reasoning_content` (DeepSeek) or
`extra_content.google.thought_signature` (Gemini), the next turn is refused.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

from pydantic import JsonValue

from holdfast.models.characters import whole_characters

MAX_DEPTH = 16  # levels; real ones have two or three
_INT_LIMIT = 2**63  # JSON readers in other languages hold integers in 64 bits

_MARKS = frozenset({"format", "id", "index", "name", "role", "signature", "type"})
"""Texts inside of lists and objects that are complete in each piece of a stream; any other is the next piece."""
_WHOLE = frozenset({"extra_content", "provider_specific_fields"})
"""Fields whose texts are complete wherever they are."""
_REASONING = ("thinking", "reasoning")
"""How the types of reasoning begin."""


class ProviderFields:
    """The unknown fields of a message or a call, assembled from the pieces of a stream.

    Args:
        known: names of the fields that are not collected.
    """

    def __init__(self, known: Collection[str]) -> None:
        self._known = known
        self._fields: dict[str, Any] = {}

    def add(self, piece: dict[str, Any]) -> None:
        """Adds the unknown fields of a piece; those without a value, or that cannot be stored, are left out."""
        for name, value in piece.items():
            if name not in self._known and value not in (None, "", [], {}) and _is_storable(value, MAX_DEPTH):
                whole = name in _WHOLE or name in _MARKS
                self._fields[name] = value if whole else _joined(self._fields.get(name), value)

    def values(self) -> dict[str, JsonValue]:
        """Returns the fields as assembled so far."""
        return {whole_characters(name): _clean(value) for name, value in self._fields.items()}


def _joined(known: Any, piece: Any) -> Any:
    if isinstance(known, str) and isinstance(piece, str):
        return known + piece
    if isinstance(known, dict) and isinstance(piece, dict):
        return known | {
            name: value if name in _MARKS and value is not None else _joined(known.get(name), value)
            for name, value in piece.items()
        }
    if isinstance(known, list) and isinstance(piece, list):
        return _joined_items(known, piece)
    return known if piece is None else piece


def _joined_items(known: list[Any], piece: list[Any]) -> list[Any]:
    """Returns a list with further items, each of which may continue a known one."""
    items = list(known)
    for item in piece:
        place = next((place for place in reversed(range(len(items))) if _continues(items, place, item)), None)
        if place is None:
            items.append(item)
        else:
            items[place] = _joined(items[place], item)
    return items


def _continues(items: list[Any], place: int, item: Any) -> bool:
    """Whether an item continues a known one: by its index, or as reasoning that has no signature yet."""
    known = items[place]
    if not isinstance(known, dict) or not isinstance(item, dict) or known.get("type") != item.get("type"):
        return False
    if item.get("index") is not None:
        return bool(known.get("index") == item["index"])
    is_last = place == len(items) - 1
    return is_last and str(item.get("type")).startswith(_REASONING) and not known.get("signature")


def _is_storable(value: Any, depth: int) -> bool:
    if isinstance(value, dict):
        return depth > 0 and all(_is_storable(item, depth - 1) for item in value.values())
    if isinstance(value, list):
        return depth > 0 and all(_is_storable(item, depth - 1) for item in value)
    if isinstance(value, float):
        return math.isfinite(value)
    return not isinstance(value, int) or -_INT_LIMIT <= value < _INT_LIMIT


def _clean(value: Any) -> Any:
    """Returns a value whose texts are valid Unicode."""
    if isinstance(value, dict):
        return {whole_characters(name): _clean(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return whole_characters(value) if isinstance(value, str) else value
