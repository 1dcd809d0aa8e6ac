"""Vectors that are found again by likeness.

`holdfast.vectors.surreal` is not imported here: it loads the database's client.
"""

from holdfast.vectors.memory import MemoryVectors, MemoryVectorStore
from holdfast.vectors.store import VectorStore

__all__ = ["MemoryVectorStore", "MemoryVectors", "VectorStore"]
