"""Vectors in a database, for tests."""

from __future__ import annotations

from holdfast.ports.retrieval import StoredVector, VectorMatch
from holdfast.storage.database import Database
from holdfast.storage.persistence import Persistence


def database_of(kept: Persistence) -> Database:
    """The database, which there is."""
    assert kept.database is not None
    return kept.database


def numbered(vectors: list[list[float]], first: int = 0) -> list[StoredVector]:
    """Vectors with numbers as ids."""
    return [StoredVector(id=str(place), vector=vector) for place, vector in enumerate(vectors, start=first)]


def ids(matches: list[VectorMatch]) -> list[str]:
    """What was found."""
    return [match.id for match in matches]
