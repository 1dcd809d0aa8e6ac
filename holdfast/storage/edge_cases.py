"""Values that databases and their clients are known to stumble over: for checks of stores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Odd:
    """A value that databases and their clients are known to stumble over."""

    name: str
    value: Any


def _nested(wrap: Callable[[Any], Any], levels: int = 200) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = wrap(value)
    return value


ODD_VALUES = (
    Odd("integer of 64 bits", 2**63),
    Odd("negative integer of 64 bits", -(2**63) - 1),
    Odd("integer of 300 bits", 2**300),
    Odd("NUL", "a\0b"),
    Odd("lone surrogate", "a\ud800b"),
    Odd("other scripts and emoji", "ğ 漢字 \U0001f600 e\u0301 \u202e \u2028 \ufeff \uffff"),
    Odd("query text", "'; DELETE event; -- ⟩ ` $run \\"),
    Odd("empty text", ""),
    Odd("null", None),
    Odd("key that is None", {None: 1}),
    Odd("odd keys", {"": 1, "a\0b": 2, "id": 3, "\ud800": 4, "type::thing('x')": 5}),
    Odd("200 levels", _nested(lambda inner: [inner])),
    Odd("200 levels of keys", _nested(lambda inner: {"k": inner})),
    Odd("float at the edge", [1e308, 5e-324, -0.0, 0.1 + 0.2]),
    Odd("infinite float", [float("inf"), float("-inf")]),
    Odd("mixed list", [1, "a", None, True, {"b": [[]]}]),
    Odd("what looks like a record id, a date, a number", ["run:abc", "2025-01-01T00:00:00Z", "1e5", "NONE"]),
    Odd("half a megabyte", "x" * 500_000),
)
