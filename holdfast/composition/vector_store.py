"""Vector store of the public API."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import JsonValue
from typing_extensions import override

from holdfast.composition.persistence import shared_persistence
from holdfast.ports.registry import UnregisteringRegistry
from holdfast.ports.retrieval import StoredVector, VectorMatch, VectorStoreProtocol
from holdfast.storage.persistence import Persistence
from holdfast.storage.registry import BaseRegistry
from holdfast.storage.vectors.checks import check_name


class VectorStore(BaseRegistry, VectorStoreProtocol):
    """Stores vectors with metadata and finds the nearest by cosine similarity; also a registry of agents.

        store = VectorStore()
        await store.upsert("doc-1", [0.1, 0.9, 0.2], {"lang": "en"})
        for match in await store.query([0.1, 0.8, 0.3], k=5, filter={"lang": "en"}):
            print(match.id, match.score)

    Creating one needs no `await`; it connects when it is first used.

    Args:
        namespace: separates vectors; the first vector of a namespace sets its dimension. All namespaces share one
            registry.
        persistence: the storage; `None` means the one in the settings (STATE_PERSISTENCE_BACKEND, SURREALDB_URL).

    Raises:
        ValueError: the namespace is empty, not text, or too long.
    """

    def __init__(self, namespace: str = "default", *, persistence: Persistence | None = None) -> None:
        self._namespace = check_name("the namespace", namespace)
        self._given = persistence

    @property
    def namespace(self) -> str:
        """The namespace of the vectors."""
        return self._namespace

    @override
    async def upsert(self, id: str, vector: Sequence[float], metadata: Mapping[str, JsonValue] | None = None) -> str:
        return await self._vectors.upsert(id, vector, metadata)

    @override
    async def upsert_many(self, vectors: Iterable[StoredVector]) -> None:
        await self._vectors.upsert_many(vectors)

    @override
    async def query(
        self, vector: Sequence[float], k: int = 5, *, filter: Mapping[str, JsonValue] | None = None
    ) -> list[VectorMatch]:
        return await self._vectors.query(vector, k, filter=filter)

    @override
    async def get_vector(self, id: str) -> StoredVector | None:
        return await self._vectors.get_vector(id)

    @override
    async def delete(self, id: str) -> bool:
        return await self._vectors.delete(id)

    @override
    async def exists(self, name: str) -> bool:
        return await self._persistence.registry.exists(name)

    @override
    async def get(self, name: str) -> Any:
        return await self._persistence.registry.get(name)

    @override
    async def register(self, agent: Any) -> None:
        await self._persistence.registry.register(agent)

    @override
    async def list_agents(self) -> list[str]:
        return await self._persistence.registry.list_agents()

    @override
    async def unregister(self, name: str) -> bool:
        registry = self._persistence.registry
        if not isinstance(registry, UnregisteringRegistry):
            return await super().unregister(name)
        return await registry.unregister(name)

    @property
    def _persistence(self) -> Persistence:
        if self._given is not None:
            return self._given
        return shared_persistence()

    @property
    def _vectors(self) -> VectorStoreProtocol:
        return self._persistence.vectors(self._namespace)

    def __repr__(self) -> str:
        return f"VectorStore({self._namespace!r})"
