"""Text memory: texts that agents and users find again by their words and by their meaning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

from pydantic import JsonValue
from typing_extensions import override

from holdfast.errors import UsageError
from holdfast.ports.retrieval import Embedder, Memory, MemoryMatch, TextMemoryProtocol
from holdfast.storage.memory.pending import PendingMemories
from holdfast.storage.memory.record import checked_id, checked_namespace, make_record
from holdfast.storage.memory.search import Question, Search
from holdfast.storage.memory.table import MemoryTable
from holdfast.storage.memory.vectors import OpenVectors, TextVectors

MAX_PAGE = 1_000  # memories

Ids = list[str]
Matches = list[MemoryMatch]
Memories = list[Memory]


class TextMemory(TextMemoryProtocol):
    """Texts by namespace, searchable by their words and by their meaning.

    A text is found by its words as soon as `add` has returned. Its vector comes later, unless `add` waits for it: a
    worker embeds pending memories. Without an embedder, and while it is unavailable, a search uses full text only.

    Args:
        table: stores the texts.
        vectors: stores their vectors; `None` means that no embedding model is configured.
    """

    def __init__(self, table: MemoryTable, vectors: TextVectors | None = None) -> None:
        self.table = table
        self.vectors = vectors
        self._search = Search(table, vectors)
        self._pending = PendingMemories(table, vectors) if vectors else None

    @classmethod
    def of(cls, table: MemoryTable, open_vectors: OpenVectors, embedder: Embedder | None) -> Self:
        """Creates a memory with the vectors of an embedder, or with full text only for `None`."""
        return cls(table, TextVectors(embedder, open_vectors) if embedder else None)

    @property
    def embedder(self) -> str | None:
        """Name of the embedder; `None` means that a search uses full text only."""
        return self.vectors.name if self.vectors else None

    @override
    async def add(
        self,
        namespace: str,
        text: str,
        metadata: Mapping[str, JsonValue] | None = None,
        *,
        id: str | None = None,
        wait: bool = False,
    ) -> str:
        record = make_record(namespace, text, metadata, key=id)
        await self.table.write(namespace, [record])
        if wait and self._pending:
            await self._pending.embed_now(record)
        return record.id

    async def add_many(
        self, namespace: str, texts: Sequence[str], metadata: Sequence[Mapping[str, JsonValue] | None] | None = None
    ) -> Ids:
        """Stores several texts and returns their ids in order; all are validated before the first is stored.

        Args:
            namespace: their namespace.
            texts: the texts, each with the limits of `add`.
            metadata: one item per text, which may be `None`; `None` for no metadata at all.

        Raises:
            UsageError: a text or its metadata is not valid, or `metadata` has another length than `texts`.
            StoreUnavailable: some could not be stored; repeating the call is safe.
        """
        if isinstance(texts, str):
            raise UsageError("add_many takes a list of texts; add takes one")
        if metadata is not None and len(metadata) != len(texts):
            raise UsageError(f"{len(texts)} texts have {len(metadata)} metadata: pass one for each, or none")
        records = [make_record(namespace, *pair) for pair in zip(texts, metadata or [None] * len(texts), strict=True)]
        await self.table.write(checked_namespace(namespace), records)
        return [record.id for record in records]

    @override
    async def search(
        self,
        query: str,
        top_k: int = 5,
        *,
        namespaces: Sequence[str],
        filter: Mapping[str, JsonValue] | None = None,
    ) -> Matches:
        return await self._search.answer(Question(query, top_k, namespaces, filter))

    async def get(self, namespace: str, id: str) -> Memory | None:  # noqa: A002 - the field's word
        """Returns a memory; `None` if the namespace has none with this id."""
        place = (checked_namespace(namespace), checked_id(id))
        found = await self.table.read([place])
        return found[place].public() if place in found else None

    async def delete(self, namespace: str, id: str) -> bool:  # noqa: A002 - the field's word
        """Deletes a memory; returns whether it existed."""
        was_there = await self.table.remove(checked_namespace(namespace), checked_id(id))
        if self.vectors:  # even without a text: a crash may have left its vector
            await self.vectors.drop(namespace, id)
        return was_there

    async def list(self, namespace: str, *, after: str = "", limit: int = 100) -> Memories:
        """Returns a page of a namespace's memories with `id > after`, ordered by id.

        Raises:
            UsageError: `limit` is out of range.
        """
        if not 1 <= limit <= MAX_PAGE:
            raise UsageError(f"limit={limit} is not accepted: 1 to {MAX_PAGE} memories a page")
        return [record.public() for record in await self.table.page(checked_namespace(namespace), after, limit)]

    async def count(self, namespace: str) -> int:
        """Returns the number of memories in a namespace."""
        return await self.table.count(checked_namespace(namespace))

    async def close(self) -> None:
        """Closes the embedder; the table and the vector stores stay open."""
        if self.vectors:
            await self.vectors.close()
