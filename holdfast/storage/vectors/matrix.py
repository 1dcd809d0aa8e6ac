"""Matrix of the vectors of one namespace, searched exactly."""

from __future__ import annotations

import threading
from array import array
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from holdfast.storage.vectors.checks import norm_of
from holdfast.storage.vectors.numbers import np
from holdfast.storage.vectors.scores import cosines

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    N = TypeVar("N", np.float32, np.float64)

Facets = Callable[[str], Collection[str]]

FIRST_CAPACITY = 64  # vectors; doubled when it is exceeded
HALF_ULP = 2.0**-24  # relative error of one operation on 32-bit floats
CHUNK = 4096  # vectors compared exactly at once: 12 MB of 384 numbers
DENSE = 4  # a filter that leaves more than 1/4 of the vectors is applied after comparing with all: gathering costs more


@dataclass(frozen=True, slots=True)
class Item:
    """A vector as a matrix holds it."""

    id: str
    numbers: array[float] | Floats
    """As they were given."""
    norm: float
    metadata: str
    """Exact JSON."""
    facets: Collection[str] | None = None
    """Of the metadata; `None` means that they are computed when they are first needed."""


@dataclass(frozen=True, slots=True)
class Nearest:
    """A vector that a search found."""

    id: str
    score: float
    metadata: str


class Matrix:
    """The vectors of one namespace; several threads may use it at once.

    A search first compares all vectors in 32-bit floats, whose error is at most `margin`. Then it compares those that
    may be among the nearest in 64-bit floats, with the numbers as they were given, so the result is exact. Each number
    of a vector takes 12 bytes.

    Args:
        dimension: of all vectors.
        facets_of: computes facets from exact JSON, where an item has none.
    """

    def __init__(self, dimension: int, facets_of: Facets) -> None:
        self.dimension = dimension
        self._facets_of = facets_of
        self._lock = threading.Lock()
        self._units = np.empty((FIRST_CAPACITY, dimension), np.float32)
        self._exact = np.empty((FIRST_CAPACITY, dimension), np.float64)
        self._norms = np.empty(FIRST_CAPACITY, np.float64)
        self._ids: list[str] = []
        self._metadata: list[str] = []
        self._facets: list[Collection[str] | None] = []
        self._rows: dict[str, int] = {}
        self._having: dict[str, set[int]] | None = None
        """The rows with each facet; `None` until a search has a filter."""

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def size(self) -> int:
        """Bytes of its numbers."""
        return self._units.nbytes + self._exact.nbytes

    def put(self, items: Sequence[Item]) -> None:
        """Adds vectors, or replaces those with the same id; of several with one id, the last is kept."""
        latest = {item.id: item for item in items}
        if not latest:
            return
        numbers = np.array([item.numbers for item in latest.values()], np.float64)
        norms = np.array([item.norm for item in latest.values()], np.float64)
        with self._lock:
            rows = [self._claim(item) for item in latest.values()]
            self._exact[rows] = numbers
            self._norms[rows] = norms
            self._units[rows] = numbers / norms[:, np.newaxis]

    def remove(self, id: str) -> bool:  # noqa: A002 - the field's word
        """Removes a vector and returns whether there was one; the last row takes its place."""
        with self._lock:
            row = self._rows.pop(id, None)
            if row is None:
                return False
            self._unlist(row)
            last = len(self._ids) - 1
            if row != last:
                self._unlist(last)
                columns: list[list[Any]] = [self._ids, self._metadata, self._facets]
                for values in columns:
                    values[row] = values[last]
                for numbers in (self._exact, self._norms, self._units):
                    numbers[row] = numbers[last]
                self._rows[self._ids[row]] = row
                self._list(row)
            for values in (self._ids, self._metadata, self._facets):
                values.pop()
            return True

    def nearest(self, vector: Sequence[float], k: int, facets: Collection[str]) -> list[Nearest]:
        """Returns the nearest vectors that have all facets, best first; equal scores are ordered by id.

        Args:
            vector: of the matrix's dimension.
            k: maximum number of vectors.
            facets: see `holdfast.storage.vectors.metadata.facets`.
        """
        unit = np.array(vector, np.float64) / norm_of(vector)
        with self._lock:
            rows = self._candidates(unit, k, facets)
            scores = [
                score
                for first in range(0, len(rows), CHUNK)
                for score in self._scores(unit, rows[first : first + CHUNK])
            ]
            best = sorted(zip((-score for score in scores), (self._ids[row] for row in rows), rows, strict=True))[:k]
            return [Nearest(key, 0.0 - score, self._metadata[row]) for score, key, row in best]

    def get(self, id: str) -> tuple[Floats, str] | None:  # noqa: A002 - the field's word
        """Returns the numbers of a vector as they were given, and its metadata; `None` if there is none."""
        with self._lock:
            row = self._rows.get(id)
            return None if row is None else (self._exact[row].copy(), self._metadata[row])

    def _candidates(self, unit: Floats, k: int, facets: Collection[str]) -> list[int]:
        """Returns the rows that may be among the nearest."""
        rows = self._rows_having(facets)
        count = len(self._ids) if rows is None else len(rows)
        if k >= count:
            return list(range(count)) if rows is None else rows.tolist()
        short = unit.astype(np.float32)
        # Not `@`, which starts a thread on each core: on a busy machine they wait for each other, 20 times as long.
        if rows is None:
            near = np.vecdot(self._units[:count], short)
        elif len(rows) * DENSE > len(self._ids):
            near = np.vecdot(self._units[: len(self._ids)], short)[rows]
        else:
            near = np.vecdot(self._units[rows], short)
        least = np.partition(near, count - k)[count - k] - margin(self.dimension)
        found = np.flatnonzero(near >= least)
        return [int(row) for row in (found if rows is None else rows[found])]

    def _scores(self, unit: Floats, rows: list[int]) -> list[float]:
        return cosines(unit, self._exact[rows], self._norms[rows])

    def _rows_having(self, facets: Collection[str]) -> npt.NDArray[np.intp] | None:
        if not facets:
            return None
        if self._having is None:
            self._having = {}
            for row in range(len(self._ids)):
                self._list(row)
        sets = sorted((self._having.get(facet, set()) for facet in facets), key=len)
        rows = sets[0].intersection(*sets[1:]) if len(sets) > 1 else sets[0]
        return np.fromiter(rows, np.intp, len(rows))

    def _claim(self, item: Item) -> int:
        """Returns the row of an item; a new item gets the next one."""
        row = self._rows.get(item.id)
        if row is None:
            row = self._rows[item.id] = len(self._ids)
            self._reserve(row + 1)
            self._ids.append(item.id)
            self._metadata.append(item.metadata)
            self._facets.append(item.facets)
        else:
            self._unlist(row)
            self._metadata[row], self._facets[row] = item.metadata, item.facets
        self._list(row)
        return row

    def _reserve(self, count: int) -> None:
        capacity = len(self._norms)
        if count > capacity:
            larger = max(count, 2 * capacity)
            self._units = _enlarged(self._units, larger)
            self._exact = _enlarged(self._exact, larger)
            self._norms = _enlarged(self._norms, larger)

    def _list(self, row: int) -> None:
        if self._having is not None:
            for facet in self._row_facets(row):
                self._having.setdefault(facet, set()).add(row)

    def _unlist(self, row: int) -> None:
        if self._having is not None:
            for facet in self._row_facets(row):
                self._having[facet].discard(row)
                if not self._having[facet]:
                    del self._having[facet]

    def _row_facets(self, row: int) -> Collection[str]:
        facets = self._facets[row]
        if facets is None:
            facets = self._facets[row] = self._facets_of(self._metadata[row])
        return facets


def margin(dimension: int) -> float:
    """Returns the largest difference at which two scores in 32-bit floats may be in the wrong order.

    For vectors of length 1, rounding the numbers of both and adding up `n` products in any order has an error of at
    most `n + 3` roundings; two scores have twice that.
    """
    return 2 * (dimension + 4) * HALF_ULP


def _enlarged(numbers: npt.NDArray[N], count: int) -> npt.NDArray[N]:
    larger = np.empty((count, *numbers.shape[1:]), numbers.dtype)
    larger[: len(numbers)] = numbers
    return larger
