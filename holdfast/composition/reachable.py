"""The part of the workers' storage that clients use, opened when it is first needed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from typing_extensions import override

from holdfast.client.known_agents import AgentSources
from holdfast.composition.embedder import configured_embedder
from holdfast.composition.keys import key_ring
from holdfast.errors import StoreUnavailable
from holdfast.ports import EventBus, Store
from holdfast.ports.contents import ContentStore
from holdfast.ports.conversations import ConversationStore
from holdfast.ports.retrieval import Embedder
from holdfast.settings import Settings

if TYPE_CHECKING:
    from holdfast.storage.payloads.chunk_store import ChunkStore
    from holdfast.storage.persistence import Persistence

SHARED_SCHEMES = ("surrealkv", "ws", "wss", "http", "https")


class ClientStorage(ABC):
    """The stores of the workers, as clients use them; nothing is opened before it is needed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def bus(self) -> EventBus | None:
        """Returns the event bus of the workers."""
        if self._settings.event_bus_backend == "memory":
            return None
        persistence = self._persistence()
        return persistence.bus if persistence else None

    def agents(self) -> AgentSources | None:
        """Returns where the agents of the workers can be looked up."""
        if self._settings.state_persistence_backend == "memory" or self._settings.agent_registry is not None:
            return None  # this process cannot reach what the worker has
        persistence = self._persistence()
        if persistence is None or persistence.served is None:
            return None
        return AgentSources(persistence.served, persistence.registry)

    def mirror(self) -> Store | None:
        """Returns the mirror that the workers write."""
        persistence = self._persistence()
        return persistence.store if persistence else None

    def contents(self) -> ContentStore | None:
        """Returns the store of attachments; it is created if no worker has done so yet."""
        persistence = None if self._settings.is_in_memory else self._created()
        return persistence.contents if persistence and persistence.database else None

    def conversations(self) -> ConversationStore | None:
        """Returns the store of saved conversations; it is created if no worker has done so yet."""
        persistence = self._created()
        return persistence.conversations if persistence else None

    def chunk_store(self) -> ChunkStore:
        """Returns the store of large payloads; it is created if no worker has done so yet.

        Raises:
            StoreUnavailable: each process has its own database.
        """
        from holdfast.storage.payloads.chunk_store import ChunkStore  # noqa: PLC0415 - loads the database's client

        persistence = None if self._settings.is_in_memory else self._created()
        if persistence is None or persistence.payloads is None:
            raise StoreUnavailable("each process has its own database: name one that they share in SURREALDB_URL")
        return ChunkStore(persistence.payloads, key_ring(self._settings))

    @abstractmethod
    def embedder(self) -> Embedder | None:
        """Returns the embedder that the settings describe, whether the storage can be reached or not."""

    @abstractmethod
    def _persistence(self) -> Persistence | None:
        """Returns the persistence; `None` if there is none yet."""

    @abstractmethod
    def _created(self) -> Persistence | None:
        """Returns the persistence, whose database need not exist yet; `None` if each process has its own."""


class ReachableStorage(ClientStorage):
    """Access of one client to the storage of the workers with these settings.

    There is none if each process has its own, or if no worker has created the database yet.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._opened: Persistence | None = None
        self._embedder: Embedder | None = None

    @override
    def embedder(self) -> Embedder | None:
        if self._embedder is None:
            self._embedder = configured_embedder(self._settings)
        return self._embedder

    async def close(self) -> None:
        """Closes what was opened."""
        if self._embedder is not None:
            await self._embedder.close()
        if self._opened is not None:
            await self._opened.close()

    @override
    def _persistence(self) -> Persistence | None:
        if self._opened is None and is_shared(self._settings):
            self._opened = self._open()
        return self._opened

    @override
    def _created(self) -> Persistence | None:
        if self._settings.store_url.partition("://")[0] not in SHARED_SCHEMES:
            return None
        self._opened = self._opened or self._open()
        return self._opened

    def _open(self) -> Persistence:
        from holdfast.composition.persistence import open_configured  # noqa: PLC0415 - loads the database's client

        return open_configured(self._settings, background=True)


class ProcessStorage(ClientStorage):
    """The storage of this process, which its worker uses as well; it is closed with the process."""

    @override
    def embedder(self) -> Embedder | None:
        return self._persistence().embedder

    @override
    def _persistence(self) -> Persistence:
        from holdfast.composition.persistence import shared_persistence  # noqa: PLC0415 - takes half a second to load

        return shared_persistence()

    @override
    def _created(self) -> Persistence:
        return self._persistence()


@asynccontextmanager
async def reachable_storage(settings: Settings) -> AsyncIterator[ReachableStorage]:
    """Provides the storage while the body runs."""
    storage = ReachableStorage(settings)
    try:
        yield storage
    finally:
        await storage.close()


def is_shared(settings: Settings) -> bool:
    """Returns whether this process can read the database of workers with these settings."""
    return not settings.missing_database and settings.store_url.partition("://")[0] in SHARED_SCHEMES
