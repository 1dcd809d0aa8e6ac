"""What is found again: vectors and texts, as plain data, and what finds them, as protocols."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Protocol, runtime_checkable

from pydantic import AwareDatetime, JsonValue

from holdfast.types import Data


class StoredVector(Data):
    """A vector as it is kept."""

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
"""What found a memory: its words, or what it means."""


SHARED_NAMESPACE = "shared"
"""Whose memories all agents find."""


def agent_namespace(agent: str) -> str:
    """Where an agent's own memories are."""
    return f"agent/{agent}"


class Memory(Data):
    """A text as it is kept."""

    id: str
    """Unique within its namespace."""
    namespace: str
    text: str
    metadata: dict[str, JsonValue] = {}
    added_at: AwareDatetime
    """When it was added, or last replaced."""
    embedded_by: str | None = None
    """Name of the embedder that its vector is from; None: it has none, and is found by its words alone."""
    fault: str | None = None
    """Why the embedding model refused the text; None: it did not."""


class MemoryMatch(Data):
    """A memory that a search found."""

    id: str
    namespace: str
    text: str
    metadata: dict[str, JsonValue] = {}
    score: float
    """Reciprocal ranks, added up: good for the order within one search, and for nothing else."""
    found_by: list[Finder]


class Embedder(Protocol):
    """Turns texts into vectors."""

    name: str
    """Model and dimension in one word: vectors of embedders with different names cannot be compared."""

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector per text, in order, all of one dimension; splits what is too much for one request.

        Raises:
            ModelUnavailable: worth another attempt.
            ModelRefused: not worth one.
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
    ) -> None:
        """Adds a vector, or replaces it with its metadata.

        Raises:
            ValueError: not the namespace's dimension (the message names both), not finite, or zero.
        """

    async def upsert_many(self, vectors: Iterable[StoredVector]) -> None:
        """Adds or replaces many vectors, much faster than one by one; of several with one id the last counts.

        They are written in portions: one that fails leaves those before it, and doing it all again is safe.

        Raises:
            ValueError: what `upsert` raises, before anything is written.
        """

    async def query(
        self,
        vector: Sequence[float],
        k: int = 5,
        *,
        filter: Mapping[str, JsonValue] | None = None,  # noqa: A002 - the field's word
    ) -> list[VectorMatch]:
        """The `k` nearest, best first; of equal scores the smaller id first.

        Args:
            vector: of the namespace's dimension; raises what `upsert` raises.
            k: at most so many.
            filter: only vectors whose metadata has all these values under these keys.
        """
        ...

    async def get_vector(self, id: str) -> StoredVector | None:  # noqa: A002 - the field's word
        """A vector with its metadata; None when there is none of this id."""
        ...

    async def delete(self, id: str) -> bool:  # noqa: A002 - the field's word
        """Removes a vector; says whether it was there."""
        ...


class TextMemoryProtocol(Protocol):
    """Texts by namespace, found again by their words and by what they mean.

    An agent's own namespace is `agent/<name>`, the one that all agents share is `shared`.
    """

    async def add(
        self,
        namespace: str,
        text: str,
        metadata: Mapping[str, JsonValue] | None = None,
        *,
        id: str | None = None,  # noqa: A002 - the field's word
    ) -> str:
        """Keeps a text and gives its id; it is found by its words at once, by its meaning once it is embedded.

        Args:
            namespace: whose it is.
            text: not blank; half surrogate pairs are replaced.
            metadata: JSON values by name; searches can ask for them.
            id: replaces what is there under this id; None: made from text and metadata, so that adding the
                same again changes nothing.

        Raises:
            UsageError: blank or too large; the message names the limit.
            StoreUnavailable: it could not be kept; adding again is safe.
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
        """The memories that fit a query best, best first; fewer where fewer fit.

        Args:
            query: words or a sentence, not blank.
            top_k: at most so many.
            namespaces: where to look.
            filter: only memories whose metadata has all these values under these keys.

        Raises:
            UsageError: a blank query, no namespace, a `top_k` out of bounds.
            StoreUnavailable: the memories cannot be read.
        """
        ...
