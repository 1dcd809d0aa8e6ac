"""Persistence: every store of a process, on one backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from holdfast.errors import UsageError
from holdfast.ports import EventBus, Store
from holdfast.ports.contents import ContentStore
from holdfast.ports.conversations import ConversationStore
from holdfast.ports.day_budgets import DayBudgets
from holdfast.ports.ledger import Ledger
from holdfast.ports.memory_files import MemoryFileStore
from holdfast.ports.registry import RegistryProtocol, ServedAgents
from holdfast.ports.retrieval import Embedder, VectorStoreProtocol
from holdfast.storage.budgets import MemoryDayBudgets, SurrealDayBudgets
from holdfast.storage.bus import Bus, MemoryLog, SurrealLog
from holdfast.storage.contents import MemoryContents, SurrealContents
from holdfast.storage.conversations import MemoryConversations, SurrealConversations
from holdfast.storage.database import SCHEMES, Database, open_database
from holdfast.storage.encryption import KeyRing
from holdfast.storage.files import SurrealFiles
from holdfast.storage.ledger import SurrealLedger
from holdfast.storage.memory import InProcessTable, SurrealTable, TextMemory
from holdfast.storage.memory_files import SurrealMemoryFiles
from holdfast.storage.mirror import MemoryStore, SurrealStore, open_store
from holdfast.storage.payloads.chunk_table import ChunkTable
from holdfast.storage.registry import InMemoryRegistry
from holdfast.storage.registry.surreal import SurrealRegistry
from holdfast.storage.registry.workers import SurrealServedAgents
from holdfast.storage.vectors import MemoryVectors
from holdfast.storage.vectors.surreal import SurrealVectors


@dataclass(frozen=True)
class Persistence:
    """The stores of one backend; they share its database."""

    database: Database | None
    """`None` means that everything is in memory."""
    store: Store
    payloads: ChunkTable | None = None
    """Chunks of payloads that are too large for Temporal; `None` in memory, where large payloads are not supported."""
    files: SurrealFiles | None = None
    """Files of workspaces and memory folders; `None` in memory, where they stay in their folders."""
    memory_files: MemoryFileStore | None = None
    """Files of memory folders; `None` in memory, where they stay in their folders."""
    registry: RegistryProtocol = field(default_factory=InMemoryRegistry)
    vectors: Callable[[str], VectorStoreProtocol] = field(default_factory=MemoryVectors)
    """Returns the vector store of a namespace."""
    memories: TextMemory = field(default_factory=lambda: TextMemory(InProcessTable()))
    day_budgets: DayBudgets = field(default_factory=MemoryDayBudgets)
    """What runs have used of daily budgets."""
    served: ServedAgents | None = None
    """What each worker serves; `None` in memory, which no client can read."""
    embedder: Embedder | None = None
    """Embeds the texts of `memories`, which closes it; `None` means that no embedding model is configured."""
    ledger: Ledger | None = None
    """Which tool calls have begun; `None` in memory, where it would be lost with its process."""
    contents: ContentStore = field(default_factory=MemoryContents)
    """Contents of the images and files of messages."""
    conversations: ConversationStore = field(default_factory=MemoryConversations)
    """Conversations that were saved."""
    bus: EventBus = field(default_factory=lambda: Bus(MemoryLog()))

    async def open(self) -> None:
        """Opens the stores; they also open themselves on first use.

        Raises:
            StoreUnavailable: the database is unreachable.
        """
        await self.store.open()

    async def close(self) -> None:
        """Closes the stores, then the database; may be called twice."""
        await self.bus.close()
        await self.memories.close()
        await self.store.close()
        if self.database is not None:
            await self.database.close()


def open_persistence(
    url: str, *, keys: KeyRing | None = None, embedder: Embedder | None = None, **options: Any
) -> Persistence:
    """Returns the backend that a URL names; it connects on first use.

    Args:
        url: `memory://` (dictionaries in this process), a URL that `open_database` accepts, or one with the scheme of a
            store in an installed package, which then holds the mirror while everything else is in memory.
        keys: encrypt the mirror and the event bus; nothing in memory is encrypted.
        embedder: embeds the texts of text memory, and is closed with it; `None` searches by words only.
        options: further arguments of `holdfast.storage.database.open_database`.

    Raises:
        UsageError: the URL is none of these, or keys were given for an installed store, which cannot encrypt.
    """
    if url.partition("://")[0] not in SCHEMES:
        store = open_store(url, **options)
        if keys and not isinstance(store, MemoryStore):
            raise UsageError(
                f"the store {url!r} does not support encryption: unset HOLDFAST_ENCRYPTION_KEY or use a SurrealDB URL"
            )
        vectors = MemoryVectors()
        memories = TextMemory.of(InProcessTable(), vectors, embedder)
        return Persistence(database=None, store=store, vectors=vectors, memories=memories, embedder=embedder)
    return persistence_on(open_database(url, **options), keys, embedder)


def persistence_on(database: Database, keys: KeyRing | None = None, embedder: Embedder | None = None) -> Persistence:
    """Returns the backend on a database, which the stores share."""
    vectors = SurrealVectors(database)
    return Persistence(
        database=database,
        store=SurrealStore(database, keys),
        payloads=ChunkTable(database),
        files=SurrealFiles(database, keys),
        memory_files=SurrealMemoryFiles(database, keys),
        registry=SurrealRegistry(database),
        vectors=vectors,
        memories=TextMemory.of(SurrealTable(database), vectors, embedder),
        day_budgets=SurrealDayBudgets(database),
        served=SurrealServedAgents(database),
        embedder=embedder,
        ledger=SurrealLedger(database),
        contents=SurrealContents(database, keys),
        conversations=SurrealConversations(database, keys),
        bus=Bus(SurrealLog(database, keys)),
    )
