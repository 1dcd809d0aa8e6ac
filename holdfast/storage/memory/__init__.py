"""Text memory: kept by namespace, found by words and by meaning."""

from __future__ import annotations

from holdfast.memory.embedding import Embedding
from holdfast.memory.in_process import InProcessTable
from holdfast.memory.surreal import SurrealTable
from holdfast.memory.text_memory import TextMemory
from holdfast.memory.vectors import TextVectors

__all__ = ["Embedding", "InProcessTable", "SurrealTable", "TextMemory", "TextVectors"]
