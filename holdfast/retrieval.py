"""What is found again: vectors and texts, plain data."""

from __future__ import annotations

from pydantic import JsonValue

from holdfast.types import Data


class StoredVector(Data):
    """A vector as it is kept."""

    id: str
    vector: list[float]
    metadata: dict[str, JsonValue] = {}


class VectorMatch(Data):
    """A vector that a query found."""

    id: str
    score: float
    """Cosine similarity, from -1 to 1."""
    metadata: dict[str, JsonValue] = {}
