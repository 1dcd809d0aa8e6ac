"""The vector store that users make."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import JsonValue

from holdfast.composition.persistence import shared_persistence
from holdfast.ports.retrieval import StoredVector, VectorMatch, VectorStoreProtocol
from holdfast.storage.persistence import Persistence
from holdfast.storage.registry import BaseRegistry
from holdfast.storage.vectors.checks import check_name


class VectorStore(BaseRegistry):
    """Keeps vectors with metadata, and finds the nearest by cosine similarity; also a registry of agents.

        store = VectorStore()
        await store.upsert("doc-1", [0.1, 0.9, 0.2], {"lang": "en"})
        for match in await store.query([0.1, 0.8, 0.3], k=5, filter={"lang": "en"}):
            print(match.id, match.score)

    Making one needs no connection, and no `await`: that comes with the first use.

    Args:
        namespace: keeps vectors apart, each namespace with a dimension of its own, that of its first vector.
            The registry is the same for all.
        persistence: where to keep them; None: where the settings say (STATE_PERSISTENCE_BACKEND, SURREALDB_URL).

    Raises:
        ValueError: the namespace is empty, no text, or too long.
    """

    def __init__(self, namespace: str = "default", *, persistence: Persistence | None = None) -> None:
        self._namespace = check_name("the namespace", namespace)
        self._given = persistence

    @property
    def namespace(self) -> str:
        """Whose vectors these are."""
        return self._namespace

    async def upsert(
        self,
        id: str,  # noqa: A002 - the field's word
        vector: Sequence[float],
        metadata: Mapping[str, JsonValue] | None = None,
    ) -> None:
        """Adds a vector, or replaces it with its metadata.

        Args:
            id: any text of 1 to 4,096 characters.
            vector: numbers; it comes back exactly, as 64-bit floats.
            metadata: JSON values by name, at most 100,000 characters.

        Raises:
            ValueError: not the namespace's dimension (the message names both), not finite, zero, or no numbers.
            StoreUnavailable: it could not be kept; doing it again is safe.
        """
        await self._vectors.upsert(id, vector, metadata)

    async def upsert_many(self, vectors: Iterable[StoredVector]) -> None:
        """Adds or replaces many vectors, much faster than one by one; of several with one id the last counts.

        They are written in portions: one that fails leaves those before it, and doing it all again is safe.

        Raises:
            ValueError: what `upsert` raises, before anything is written.
            StoreUnavailable: some could not be kept.
        """
        await self._vectors.upsert_many(vectors)

    async def query(
        self,
        vector: Sequence[float],
        k: int = 5,
        *,
        filter: Mapping[str, JsonValue] | None = None,  # noqa: A002 - the field's word
    ) -> list[VectorMatch]:
        """The `k` nearest, best first; of equal scores the smaller id first.

        Args:
            vector: of the namespace's dimension.
            k: at most so many; fewer come where there are fewer.
            filter: only vectors whose metadata has all these values under these keys. They are compared as JSON:
                `1` is `1.0` and is not `true`; null is a value, which a missing key does not have.

        Returns:
            Matches whose `score` is the cosine similarity, from -1 to 1.

        Raises:
            ValueError: what `upsert` raises for a vector, or a `k` below 1.
            StoreUnavailable: the vectors cannot be read.
        """
        return await self._vectors.query(vector, k, filter=filter)

    async def get_vector(self, id: str) -> StoredVector | None:  # noqa: A002 - the field's word
        """A vector with its metadata, as it was given; None when there is none of this id."""
        return await self._vectors.get_vector(id)

    async def delete(self, id: str) -> bool:  # noqa: A002 - the field's word
        """Removes a vector; says whether it was there. The namespace keeps its dimension."""
        return await self._vectors.delete(id)

    async def exists(self, name: str) -> bool:
        """See `holdfast.storage.registry.RegistryProtocol.exists`."""
        return await self._persistence.registry.exists(name)

    async def get(self, name: str) -> Any:
        """See `holdfast.storage.registry.RegistryProtocol.get`."""
        return await self._persistence.registry.get(name)

    async def register(self, agent: Any) -> None:
        """See `holdfast.storage.registry.RegistryProtocol.register`."""
        await self._persistence.registry.register(agent)

    async def list_agents(self) -> list[str]:
        """See `holdfast.storage.registry.RegistryProtocol.list_agents`."""
        return await self._persistence.registry.list_agents()

    async def unregister(self, name: str) -> bool:
        """See `holdfast.storage.registry.RegistryProtocol.unregister`."""
        return await self._persistence.registry.unregister(name)

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
