"""A vector as both backends hold it."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from holdfast.ports.retrieval import StoredVector, VectorMatch
from holdfast.storage.vectors.checks import check_dimension, check_name, check_vector, norm_of
from holdfast.storage.vectors.metadata import facets, metadata_text


@dataclass(frozen=True, slots=True)
class Record:
    """A vector with what searches need to know of it.

    Attributes:
        id: the user's.
        numbers: exactly as given.
        norm: its length.
        metadata: exact JSON.
        facets: of its metadata.
    """

    id: str
    numbers: array[float]
    norm: float
    metadata: str
    facets: frozenset[str]

    @property
    def unit(self) -> list[float]:
        """The vector of the same direction and of length 1."""
        return [number / self.norm for number in self.numbers]

    def stored(self) -> StoredVector:
        """As users get it."""
        return StoredVector(id=self.id, vector=self.numbers.tolist(), metadata=json.loads(self.metadata))

    def match(self, score: float) -> VectorMatch:
        """Returns the match as a query returns it."""
        return VectorMatch(id=self.id, score=score, metadata=json.loads(self.metadata))


def record(
    namespace: str,
    id: str,  # noqa: A002 - the field's word
    vector: Iterable[float],
    metadata: Mapping[str, JsonValue] | None,
) -> Record:
    """A record of what a user gave.

    Raises:
        UsageError: something of it cannot be stored.
    """
    numbers = check_vector(vector)
    metadata = {} if metadata is None else metadata
    return Record(
        id=check_name("the id of a vector", id),
        numbers=numbers,
        norm=norm_of(numbers),
        metadata=metadata_text(metadata),
        facets=facets(namespace, metadata),
    )


def records(namespace: str, vectors: Iterable[StoredVector]) -> list[Record]:
    """Records of one dimension; of several with one id the last.

    Raises:
        UsageError: something of them cannot be stored.
    """
    found = {vector.id: record(namespace, vector.id, vector.vector, vector.metadata) for vector in vectors}
    made = list(found.values())
    for each in made:
        check_dimension(len(each.numbers), len(made[0].numbers), namespace)
    return made
