"""Vectors, texts and metadata for checks of vector stores."""

from __future__ import annotations

import math
import random
from typing import Any

HOSTILE_TEXTS = (
    "plain",
    "a:b",
    "a.b",
    "⟩",
    "\\⟩",
    "⟨`'\"",
    "'; REMOVE TABLE vector; --",
    "$id <k> {{record}}",
    "NUL \0 and half a pair \ud800",
    "\\u0000",
    "\N{GRINNING FACE} e\u0301 \u202e \u2028",
    " ",
    "x" * 1_000,
)
"""Ids and namespaces that databases and their clients are known to stumble over."""

EDGE_CASES_OF_METADATA: tuple[dict[str, Any], ...] = (
    {"v": 1},
    {"v": True},
    {"v": "1"},
    {"v": None},
    {"v": 1.5},
    {"v": 0},
    {"v": False},
    {"v": ""},
    {"v": []},
    {"v": {}},
    {"v": [1, [None, {"w": "x"}]]},
    {"v": {"a": {"b": 1}}},
    {"v.a.b": 1},
    {"v": 2**63},
    {"v": -(2**63) - 1},
    {"v": 2**300},
    {"v": 1e-300},
    {"v": "a\0b"},
    {"v": "a\ud800b"},
    {"": 1, "a\0b": 2, "\ud800": 3, "⟩": 4, "'": 5, "id": 6, "$x": 7},
    {"v": "'; DELETE vector; --"},
    {"v": "\N{GRINNING FACE}"},
    {"v": [1, 2]},
    {"v": [2, 1]},
    {"v": "x" * 50_000},
)
"""Objects of which none has the values of another."""


def unit_vectors(count: int, dimension: int, *, seed: int) -> list[list[float]]:
    """Random vectors of length 1, the same for the same seed; the hardest that there are for a search index."""
    chance = random.Random(seed)  # noqa: S311 - for tests
    vectors = []
    for _ in range(count):
        numbers = [chance.gauss(0, 1) for _ in range(dimension)]
        norm = math.hypot(*numbers)
        vectors.append([number / norm for number in numbers])
    return vectors
