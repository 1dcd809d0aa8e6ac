"""Vectors that are found again by similarity.

`holdfast.storage.vectors.surreal` is not imported here: it loads the database's SDK.
"""

from holdfast.storage.vectors.memory import MemoryVectors, MemoryVectorStore

__all__ = ["MemoryVectorStore", "MemoryVectors"]
