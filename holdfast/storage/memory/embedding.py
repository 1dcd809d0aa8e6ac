"""Embedding of pending memories, in batches."""

from __future__ import annotations

from holdfast.storage.memory.pending import PendingMemories
from holdfast.storage.memory.table import Space
from holdfast.storage.memory.text_memory import TextMemory


class Embedding:
    """Embeds the pending memories of a text memory. Repeating a batch changes nothing.

    Args:
        memory: if it has no embedder, no memory is ever pending.
    """

    def __init__(self, memory: TextMemory) -> None:
        self._spaces = PendingMemories(memory.table, memory.vectors) if memory.vectors else None

    async def waiting(self) -> list[Space]:
        """Returns the namespaces with memories that have no vector yet, or one of another embedder.

        Raises:
            StoreUnavailable: the memories cannot be read.
        """
        return await self._spaces.waiting() if self._spaces else []

    async def next_batch(self, namespace: str) -> int:
        """Embeds the next pending memories and returns their number; 0 if none is pending.

        Raises:
            ModelUnavailable: temporary; the memories stay pending.
            ModelRefused: the embedding model refuses every request.
            StoreUnavailable: the memories cannot be read or written.
        """
        return await self._spaces.next_batch(namespace) if self._spaces else 0
