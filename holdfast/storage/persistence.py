"""Everything that is kept, on one backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from holdfast.errors import UsageError
from holdfast.ports import EventBus, Store
from holdfast.ports.retrieval import Embedder, VectorStoreProtocol
from holdfast.storage.bus import Bus, MemoryLog, SurrealLog
from holdfast.storage.database import SCHEMES, Database, open_database
from holdfast.storage.encryption import KeyRing
from holdfast.storage.memory import InProcessTable, SurrealTable, TextMemory
from holdfast.storage.mirror import MemoryStore, SurrealStore, open_store
from holdfast.storage.payloads.chunk_table import ChunkTable
from holdfast.storage.registry import InMemoryRegistry, RegistryProtocol
from holdfast.storage.registry.surreal import SurrealRegistry
from holdfast.storage.vectors import MemoryVectors
from holdfast.storage.vectors.surreal import SurrealVectors


@dataclass(frozen=True)
class Persistence:
    """The parts of one backend, which share its database."""

    database: Database | None
    """None: everything is in this process's memory."""
    store: Store
    payloads: ChunkTable | None = None
    """What is too large for Temporal; None: nothing may be, as this process's memory is no place for it."""
    registry: RegistryProtocol = field(default_factory=InMemoryRegistry)
    vectors: Callable[[str], VectorStoreProtocol] = field(default_factory=MemoryVectors)
    """Gives the vector store of a namespace."""
    memories: TextMemory = field(default_factory=lambda: TextMemory(InProcessTable()))
    bus: EventBus = field(default_factory=lambda: Bus(MemoryLog()))

    async def open(self) -> None:
        """Makes ready; the parts open by themselves too.

        Raises:
            StoreUnavailable: the database is away.
        """
        await self.store.open()

    async def close(self) -> None:
        """Closes the parts, the database last; may be called twice."""
        await self.bus.close()
        await self.memories.close()
        await self.store.close()
        if self.database is not None:
            await self.database.close()


def open_persistence(
    url: str, *, keys: KeyRing | None = None, embedder: Embedder | None = None, **options: Any
) -> Persistence:
    """Gives the backend that a URL names; it connects when it is first used.

    Args:
        url: `memory://` (dictionaries in this process), what `open_database` takes, or the scheme of a
            store that an installed package offers: then the mirror is there, and all else in this process's memory.
        keys: encrypt what the mirror holds; in this process's memory nothing is encrypted.
        embedder: makes the vectors of text memory, and is closed with it; None: words alone decide.
        options: what `holdfast.storage.database.open_database` takes besides.

    Raises:
        UsageError: the URL is none of these, or names an installed store, which does not encrypt, with keys.
    """
    if url.partition("://")[0] not in SCHEMES:
        store = open_store(url, **options)
        if keys and not isinstance(store, MemoryStore):
            raise UsageError(f"the store {url!r} does not encrypt what it holds: unset HOLDFAST_ENCRYPTION_KEY")
        vectors = MemoryVectors()
        memories = TextMemory.of(InProcessTable(), vectors, embedder)
        return Persistence(database=None, store=store, vectors=vectors, memories=memories)
    return persistence_on(open_database(url, **options), keys, embedder)


def persistence_on(database: Database, keys: KeyRing | None = None, embedder: Embedder | None = None) -> Persistence:
    """Gives the backend on a database that somebody has opened, or will; the parts share it."""
    vectors = SurrealVectors(database)
    return Persistence(
        database=database,
        store=SurrealStore(database, keys),
        payloads=ChunkTable(database),
        registry=SurrealRegistry(database),
        vectors=vectors,
        memories=TextMemory.of(SurrealTable(database), vectors, embedder),
        bus=Bus(SurrealLog(database, keys)),
    )
