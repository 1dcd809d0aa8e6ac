"""Keeps what was asked for lately: bounded in number, size and time."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class RecentlyUsed(Generic[K, V]):
    """The least recently used goes first.

    Args:
        entries: most entries that are kept.
        weight: most weight of all entries together, in the unit of `put`.
        lifetime: seconds that an entry is good for.
        clock: gives the time in seconds.
    """

    def __init__(
        self, *, entries: int, weight: int, lifetime: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._max_entries = entries
        self._max_weight = weight
        self._lifetime = lifetime
        self._clock = clock
        self._weight = 0
        self._kept: OrderedDict[K, tuple[V, int, float]] = OrderedDict()

    def get(self, key: K) -> V | None:
        """The entry; None when there is none, or when it is too old."""
        if key not in self._kept:
            return None
        value, _, kept_until = self._kept[key]
        if self._clock() >= kept_until:
            self.drop(key)
            return None
        self._kept.move_to_end(key)
        return value

    def put(self, key: K, value: V, weight: int = 1) -> None:
        """Keeps an entry, in place of the one before; one that alone weighs too much is not kept."""
        self.drop(key)
        if weight > self._max_weight:
            return
        self._kept[key] = value, weight, self._clock() + self._lifetime
        self._weight += weight
        while len(self._kept) > self._max_entries or self._weight > self._max_weight:
            self.drop(next(iter(self._kept)))

    def drop(self, key: K) -> None:
        """Forgets an entry; one that is not there is no error."""
        if key in self._kept:
            self._weight -= self._kept.pop(key)[1]

    def clear(self) -> None:
        """Forgets everything."""
        self._kept.clear()
        self._weight = 0

    def __len__(self) -> int:
        return len(self._kept)
