"""Text memory: what agents and people want to find again, by its words and by what it means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

from pydantic import JsonValue

from holdfast.errors import UsageError
from holdfast.ports.retrieval import Embedder, Memory, MemoryMatch
from holdfast.storage.memory.record import checked_id, checked_namespace, make_record
from holdfast.storage.memory.search import Question, Search
from holdfast.storage.memory.table import MemoryTable
from holdfast.storage.memory.vectors import OpenVectors, TextVectors

MAX_PAGE = 1_000  # memories

Ids = list[str]
Matches = list[MemoryMatch]
Memories = list[Memory]


class TextMemory:
    """Texts by namespace, see `holdfast.ports.TextMemoryProtocol`.

    A text is found by its words from the moment that `add` returns. Its vector comes later: a worker embeds what
    waits. Without an embedder, and while it is away, words alone decide.

    Args:
        table: keeps the texts.
        vectors: keeps what they mean; None: no embedding model is configured.
    """

    def __init__(self, table: MemoryTable, vectors: TextVectors | None = None) -> None:
        self.table = table
        self.vectors = vectors
        self._search = Search(table, vectors)

    @classmethod
    def of(cls, table: MemoryTable, open_vectors: OpenVectors, embedder: Embedder | None) -> Self:
        """Makes one with the vectors of an embedder, if there is one."""
        return cls(table, TextVectors(embedder, open_vectors) if embedder else None)

    @property
    def embedder(self) -> str | None:
        """Name of the embedder; None: words alone decide."""
        return self.vectors.name if self.vectors else None

    async def add(
        self,
        namespace: str,
        text: str,
        metadata: Mapping[str, JsonValue] | None = None,
        *,
        id: str | None = None,  # noqa: A002 - the field's word
    ) -> str:
        """See `holdfast.ports.TextMemoryProtocol.add`."""
        record = make_record(namespace, text, metadata, key=id)
        await self.table.write(namespace, [record])
        return record.id

    async def add_many(
        self, namespace: str, texts: Sequence[str], metadata: Sequence[Mapping[str, JsonValue] | None] | None = None
    ) -> Ids:
        """Keeps several texts and gives their ids, in order; all are checked before the first is kept.

        Args:
            namespace: whose they are.
            texts: each as `add` takes it.
            metadata: one for each text; None: none has any.

        Raises:
            UsageError: a text or its metadata is not accepted, or there are more of one than of the other.
            StoreUnavailable: not all could be kept; adding all again is safe.
        """
        if isinstance(texts, str):
            raise UsageError("add_many takes a list of texts; add takes one")
        if metadata is not None and len(metadata) != len(texts):
            raise UsageError(f"{len(texts)} texts have {len(metadata)} metadata: give one for each, or none")
        records = [make_record(namespace, *pair) for pair in zip(texts, metadata or [None] * len(texts), strict=True)]
        await self.table.write(checked_namespace(namespace), records)
        return [record.id for record in records]

    async def search(
        self,
        query: str,
        top_k: int = 5,
        *,
        namespaces: Sequence[str],
        filter: Mapping[str, JsonValue] | None = None,  # noqa: A002 - the field's word
    ) -> Matches:
        """See `holdfast.ports.TextMemoryProtocol.search`."""
        return await self._search.answer(Question(query, top_k, namespaces, filter))

    async def get(self, namespace: str, id: str) -> Memory | None:  # noqa: A002 - the field's word
        """A memory; None when there is none of this id in the namespace."""
        place = (checked_namespace(namespace), checked_id(id))
        found = await self.table.read([place])
        return found[place].public() if place in found else None

    async def delete(self, namespace: str, id: str) -> bool:  # noqa: A002 - the field's word
        """Forgets a memory; says whether it was there."""
        was_there = await self.table.remove(checked_namespace(namespace), checked_id(id))
        if self.vectors:  # also where the text is gone: a crash may have left its vector
            await self.vectors.drop(namespace, id)
        return was_there

    async def list(self, namespace: str, *, after: str = "", limit: int = 100) -> Memories:
        """A page of a namespace's memories with `id > after`, ordered by id.

        Raises:
            UsageError: `limit` is out of bounds.
        """
        if not 1 <= limit <= MAX_PAGE:
            raise UsageError(f"limit={limit} is not accepted: 1 to {MAX_PAGE} memories a page")
        return [record.public() for record in await self.table.page(checked_namespace(namespace), after, limit)]

    async def count(self, namespace: str) -> int:
        """How many memories a namespace has."""
        return await self.table.count(checked_namespace(namespace))

    async def close(self) -> None:
        """Closes the embedder; what the texts and vectors are kept in stays open."""
        if self.vectors:
            await self.vectors.close()
