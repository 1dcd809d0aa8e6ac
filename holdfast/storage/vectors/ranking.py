"""The best of many vectors that come in portions, by exact comparison."""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Iterable
from itertools import chain

from holdfast.ports.retrieval import VectorMatch
from holdfast.storage.vectors.checks import norm_of
from holdfast.storage.vectors.numbers import np
from holdfast.storage.vectors.record import Record
from holdfast.storage.vectors.scores import cosines

Place = tuple[float, str, Record]
"""A score, negative so that the best is the smallest; the id; the record."""


class Ranking:
    """The `k` records nearest to a vector, of all that it is shown. Show it thousands in a thread.

    Args:
        vector: to compare with.
        k: how many to keep.
    """

    def __init__(self, vector: array[float], k: int) -> None:
        self._unit = np.array(vector, np.float64) / norm_of(vector)
        self._k = k
        self._best: list[Place] = []

    def add(self, records: Iterable[Record]) -> None:
        """Compares with records and keeps the best."""
        shown = list(records)
        if not shown:
            return
        vectors = np.array([record.numbers for record in shown], np.float64)
        scores = cosines(self._unit, vectors, np.array([record.norm for record in shown], np.float64))
        places = [(-score, record.id, record) for score, record in zip(scores, shown, strict=True)]
        self._best = heapq.nsmallest(self._k, chain(self._best, places), key=lambda place: place[:2])

    def matches(self) -> list[VectorMatch]:
        """The best, best first; of equal scores the smaller id first."""
        return [record.match(0.0 - score) for score, _, record in self._best]
