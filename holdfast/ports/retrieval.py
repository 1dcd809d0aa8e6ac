"""Ports of vector stores, text memory and embedders, and their data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Protocol, runtime_checkable

from pydantic import AwareDatetime, JsonValue

from holdfast.types import Data


class StoredVector(Data):
    """A stored vector."""

    id: str
    vector: list[float]
    metadata: dict[str, JsonValue] = {}


class VectorMatch(Data):
    """A vector that a query found."""

    id: str
    score: float
    """Cosine similarity, from -1 to 1."""
    metadata: dict[str, JsonValue] = {}


Finder = Literal["text", "vector"]
"""How a memory was found: by its words or by its meaning."""


SHARED_NAMESPACE = "shared"
"""Namespace of memories that all agents share."""


def agent_namespace(agent: str) -> str:
    """Returns the namespace of an agent's own memories."""
    return f"agent/{agent}"


class Memory(Data):
    """A stored text."""

    id: str
    """Unique within its namespace."""
    namespace: str
    text: str
    metadata: dict[str, JsonValue] = {}
    added_at: AwareDatetime
    """When it was added or last replaced."""
    embedded_by: str | None = None
    """Name of the embedder of its vector; `None` means that it has no vector and is found by its words only."""
    fault: str | None = None
    """Why the embedding model refused the text; `None` if it did not."""


class MemoryMatch(Data):
    """A memory that a search found."""

    id: str
    namespace: str
    text: str
    metadata: dict[str, JsonValue] = {}
    score: float
    """Sum of reciprocal ranks; comparable within one search only."""
    found_by: list[Finder]


class Embedder(Protocol):
    """Turns texts into vectors."""

    name: str
    """Model and dimension, such as `model@1536`; vectors of embedders with different names are not comparable."""

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Returns one vector per text, in order and of one dimension; splits large inputs into several requests.

        Raises:
            ModelUnavailable: temporary; a retry may succeed.
            ModelRefused: permanent.
        """
        ...

    async def close(self) -> None:
        """Closes connections."""


@runtime_checkable
class VectorStoreProtocol(Protocol):
    """Vectors of one namespace, found by cosine similarity."""

    async def upsert(
        self,
        id: str,  # noqa: A002 - the field's word
        vector: Sequence[float],
        metadata: Mapping[str, JsonValue] | None = None,
    ) -> str:
        """Adds a vector, or replaces it with its metadata, and returns its id.

        Args:
            id: any text of 1 to 4,096 characters.
            vector: numbers, stored exactly as 64-bit floats.
            metadata: JSON values by name, at most 100,000 characters.

        Raises:
            ValueError: the vector has another dimension than the namespace (the message names both), is zero, or has
                values that are not finite numbers.
            StoreUnavailable: it was not stored; repeating the call is safe.
        """
        ...

    async def upsert_many(self, vectors: Iterable[StoredVector]) -> None:
        """Adds or replaces many vectors, much faster than one by one; of several with one id, the last is stored.

        They are written in batches: earlier batches remain if one fails, and repeating the call is safe.

        Raises:
            ValueError: as in `upsert`; raised before anything is written.
            StoreUnavailable: some vectors were not stored.
        """

    async def query(
        self,
        vector: Sequence[float],
        k: int = 5,
        *,
        filter: Mapping[str, JsonValue] | None = None,  # noqa: A002 - the field's word
    ) -> list[VectorMatch]:
        """Returns the `k` nearest vectors, best first; equal scores are ordered by id.

        Args:
            vector: of the namespace's dimension.
            k: maximum number of matches.
            filter: only vectors whose metadata has all these values under these keys. Values are compared as JSON:
                `1` equals `1.0` but not `true`, and a missing key does not equal null.

        Returns:
            Matches whose `score` is the cosine similarity, from -1 to 1.

        Raises:
            ValueError: as in `upsert`, or `k` is below 1.
            StoreUnavailable: the vectors cannot be read.
        """
        ...

    async def get_vector(self, id: str) -> StoredVector | None:  # noqa: A002 - the field's word
        """Returns the vector with this id and its metadata; `None` if there is none."""
        ...

    async def delete(self, id: str) -> bool:  # noqa: A002 - the field's word
        """Removes a vector and returns whether it existed. The namespace keeps its dimension."""
        ...


class TextMemoryProtocol(Protocol):
    """Texts by namespace, searchable by their words and by their meaning.

    The namespace of an agent is `agent/<name>`; all agents share the namespace `shared`.
    """

    async def add(
        self,
        namespace: str,
        text: str,
        metadata: Mapping[str, JsonValue] | None = None,
        *,
        id: str | None = None,  # noqa: A002 - the field's word
        wait: bool = False,
    ) -> str:
        """Stores a text and returns its id; it is found by its words at once, by its meaning once it is embedded.

        Args:
            namespace: the namespace of the text.
            text: not blank; unpaired surrogates are replaced.
            metadata: JSON values by name; searches can filter by them.
            id: a memory with this id is replaced; `None` means an id derived from text and metadata, so that adding
                the same memory again changes nothing.
            wait: embed it now if an embedding model is configured, so that it is found by its meaning at once. If the
                model does not answer within some seconds, a worker embeds it later.

        Raises:
            UsageError: the text is blank or too large; the message names the limit.
            StoreUnavailable: the text was not stored; repeating the call is safe.
        """
        ...

    async def search(
        self,
        query: str,
        top_k: int = 5,
        *,
        namespaces: Sequence[str],
        filter: Mapping[str, JsonValue] | None = None,  # noqa: A002 - the field's word
    ) -> list[MemoryMatch]:
        """Returns the memories that match a query best, best first.

        Args:
            query: words or a sentence, not blank.
            top_k: maximum number of memories.
            namespaces: the namespaces to search.
            filter: only memories whose metadata has all these values under these keys.

        Raises:
            UsageError: the query is blank, no namespace is given, or `top_k` is out of range.
            StoreUnavailable: the memories cannot be read.
        """
        ...
