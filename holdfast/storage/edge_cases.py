"""Edge cases: values that databases and their clients often mishandle, for conformance suites."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class EdgeCase:
    """A value that databases and their clients often mishandle."""

    name: str
    value: Any


def _nested(wrap: Callable[[Any], Any], levels: int = 200) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = wrap(value)
    return value


EDGE_CASES = (
    EdgeCase("integer of 64 bits", 2**63),
    EdgeCase("negative integer of 64 bits", -(2**63) - 1),
    EdgeCase("integer of 300 bits", 2**300),
    EdgeCase("NUL", "a\0b"),
    EdgeCase("lone surrogate", "a\ud800b"),
    EdgeCase("other scripts and emoji", "ğ 漢字 \U0001f600 e\u0301 \u202e \u2028 \ufeff \uffff"),
    EdgeCase("query text", "'; DELETE event; -- ⟩ ` $run \\"),
    EdgeCase("empty text", ""),
    EdgeCase("null", None),
    EdgeCase("key that is None", {None: 1}),
    EdgeCase("unusual keys", {"": 1, "a\0b": 2, "id": 3, "\ud800": 4, "type::thing('x')": 5}),
    EdgeCase("200 levels", _nested(lambda inner: [inner])),
    EdgeCase("200 levels of keys", _nested(lambda inner: {"k": inner})),
    EdgeCase("float at the edge", [1e308, 5e-324, -0.0, 0.1 + 0.2]),
    EdgeCase("infinite float", [float("inf"), float("-inf")]),
    EdgeCase("mixed list", [1, "a", None, True, {"b": [[]]}]),
    EdgeCase("text like a record id, a date, a number", ["run:abc", "2025-01-01T00:00:00Z", "1e5", "NONE"]),
    EdgeCase("half a megabyte", "x" * 500_000),
)
