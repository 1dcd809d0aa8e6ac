"""Text memory: stores texts by namespace, searchable by their words and by their meaning."""

from __future__ import annotations

from holdfast.storage.memory.embedding import Embedding
from holdfast.storage.memory.in_process import InProcessTable
from holdfast.storage.memory.surreal import SurrealTable
from holdfast.storage.memory.text_memory import TextMemory
from holdfast.storage.memory.vectors import TextVectors

__all__ = ["Embedding", "InProcessTable", "SurrealTable", "TextMemory", "TextVectors"]
