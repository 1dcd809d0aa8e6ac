"""Pending memories: those that have no vector yet, or one of another embedder."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from holdfast._util.logger import get_logger
from holdfast.errors import HoldfastError, ModelError, ModelUnavailable
from holdfast.storage.memory.record import Record
from holdfast.storage.memory.table import MemoryTable, Space
from holdfast.storage.memory.vectors import TextVectors

log = get_logger(__name__)

BATCH = 64  # texts; one or two requests
PROBE = "Is this text embedded?"  # harmless: a model that refuses this refuses everything
ZEROS = "the embedding model returned a vector of zeros"
NOW_TIMEOUT = 10.0  # seconds that adding a memory waits for its vector, which usually takes some 0.2 s


class PendingMemories:
    """The namespaces of a table and their pending memories, for one embedder.

    Args:
        table: stores the texts.
        vectors: computes and stores the vectors.
    """

    def __init__(self, table: MemoryTable, vectors: TextVectors) -> None:
        self._table = table
        self._vectors = vectors
        self._done: dict[str, int] = {}
        """Revisions of the namespaces in which no memory was pending."""

    async def waiting(self) -> list[Space]:
        """Returns the namespaces with pending memories; see `Embedding.waiting`."""
        changed = [space for space in await self._table.spaces() if self._done.get(space.name) != space.revision]
        return [space for space in changed if await self._waits(space)]

    async def next_batch(self, namespace: str) -> int:
        """Embeds the next pending memories; see `Embedding.next_batch`."""
        if not await self._adopt(namespace):
            return 0
        records = await self._table.pending(namespace, BATCH)
        if records:
            await self._table.settle(namespace, await self._embed(namespace, records))
        return len(records)

    async def embed_now(self, record: Record) -> None:
        """Embeds a memory that was just stored, without a worker.

        It stays pending if the model or the store does not answer in time, or if the namespace has the vectors of
        another model, which only a worker replaces.
        """
        place = (record.namespace, record.id)
        try:
            async with asyncio.timeout(NOW_TIMEOUT):
                stored = await self._table.read([place])
                if stored and stored[place].embedded_by != self._vectors.name and await self._is_ours(record.namespace):
                    await self._table.settle(record.namespace, await self._embed(record.namespace, [stored[place]]))
        except (HoldfastError, TimeoutError) as error:
            log.warning(
                "a memory has no vector yet, a worker computes it later",
                namespace=record.namespace,
                reason=str(error) or f"no answer within {NOW_TIMEOUT:g} s",
            )

    async def _is_ours(self, namespace: str) -> bool:
        """Returns whether the namespace has the vectors of this embedder, or none yet."""
        spaces = await self._table.spaces([namespace])
        if not spaces or spaces[0].embedder not in {None, self._vectors.name}:
            return False
        return spaces[0].embedder is not None or await self._adopt(namespace)

    async def _waits(self, space: Space) -> bool:
        is_ours = space.embedder == self._vectors.name
        waits = bool(await self._table.pending(space.name, 1)) if is_ours else space.name not in self._vectors.adopted
        if not waits:
            self._done[space.name] = space.revision
        return waits

    async def _adopt(self, namespace: str) -> bool:
        """Switches the namespace to this embedder if it has another; returns whether it has this one now.

        Each process does so only once per namespace. If two workers have different settings, the one that started
        later wins; they do not embed everything again in turn.
        """
        spaces = await self._table.spaces([namespace])
        if not spaces:
            return False
        is_ours = spaces[0].embedder == self._vectors.name
        if not is_ours and namespace in self._vectors.adopted:
            log.warning("another worker embeds this namespace with a different EMBEDDING_MODEL", namespace=namespace)
            return False
        if not is_ours:
            await self._table.adopt(namespace, self._vectors.name)
        self._vectors.adopted.add(namespace)
        return True

    async def _embed(self, namespace: str, records: Sequence[Record]) -> list[Record]:
        """Stores vectors and returns the records as embedded; a record that the model refuses gets a fault instead."""
        try:
            return await self._embed_together(namespace, records)
        except ModelUnavailable:
            raise
        except ModelError as error:
            await self._vectors.embed([PROBE])  # raises if the model refuses any text, not only these
            return await self._embed_apart(namespace, records, error)

    async def _embed_together(self, namespace: str, records: Sequence[Record]) -> list[Record]:
        vectors = await self._vectors.embed([record.text for record in records])
        usable = [(record, vector) for record, vector in zip(records, vectors, strict=True) if any(vector)]
        await self._vectors.store(namespace, usable)
        stored = {record.id for record, _ in usable}
        name = self._vectors.name
        return [record.embedded(name, None if record.id in stored else ZEROS) for record in records]

    async def _embed_apart(self, namespace: str, records: Sequence[Record], refusal: ModelError) -> list[Record]:
        """Halves a refused batch repeatedly to isolate the texts that the model refuses."""
        if len(records) == 1:
            return [records[0].embedded(self._vectors.name, str(refusal))]
        settled: list[Record] = []
        for half in (records[: len(records) // 2], records[len(records) // 2 :]):
            try:
                settled += await self._embed_together(namespace, half)
            except ModelUnavailable:
                raise
            except ModelError as error:
                settled += await self._embed_apart(namespace, half, error)
        return settled
