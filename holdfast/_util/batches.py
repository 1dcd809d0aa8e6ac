"""Batches of items, bounded in number and size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def batches(
    items: Iterable[T],
    *,
    most: int | None = None,
    size: int | None = None,
    measure: Callable[[T], int] = lambda _item: 0,
) -> Iterator[list[T]]:
    """Yields consecutive items in lists; an item that is too large is alone in its list.

    Args:
        items: consumed as they are needed.
        most: maximum number of items in a list; `None` means no limit.
        size: maximum size of the items of a list together; `None` means no limit.
        measure: returns the size of an item, in the unit of `size`.
    """
    batch: list[T] = []
    total = 0
    for item in items:
        added = measure(item)
        if batch and (len(batch) == most or (size is not None and total + added > size)):
            yield batch
            batch, total = [], 0
        batch.append(item)
        total += added
    if batch:
        yield batch
