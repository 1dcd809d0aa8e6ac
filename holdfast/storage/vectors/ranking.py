"""The best of many vectors, by exact comparison: what a search index only comes near to."""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Iterable
from itertools import chain
from operator import mul

from holdfast.ports.retrieval import VectorMatch
from holdfast.storage.vectors.checks import norm_of
from holdfast.storage.vectors.record import Record

DIGITS = 12  # of a score; vectors of one direction and of different lengths come out some 1e-16 apart

Place = tuple[float, str, Record]
"""A score, negative so that the best is the smallest; the id; whose they are."""


class Ranking:
    """The `k` records nearest to a vector, of all that it is shown.

    It takes some 15 microseconds for a vector of 384 numbers: show it thousands in a thread.

    Args:
        vector: to compare with.
        k: how many to keep.
    """

    def __init__(self, vector: array[float], k: int) -> None:
        norm = norm_of(vector)
        self._unit = [number / norm for number in vector]
        self._k = k
        self._best: list[Place] = []

    def add(self, records: Iterable[Record]) -> None:
        """Shows it records."""
        places = chain(self._best, map(self._place, records))
        self._best = heapq.nsmallest(self._k, places, key=lambda place: place[:2])

    def matches(self) -> list[VectorMatch]:
        """The best, best first; of equal scores the smaller id first."""
        return [record.match(0.0 - score) for score, _, record in self._best]

    def _place(self, record: Record) -> Place:
        score = sum(map(mul, self._unit, record.numbers)) / record.norm
        return -round(min(max(score, -1.0), 1.0), DIGITS), record.id, record
