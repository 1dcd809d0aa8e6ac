"""The protocol for everything besides runs that can be exported and imported."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

from holdfast.ops.transfer.bundle import Item


@dataclass
class Tally:
    """Results of the import of one part."""

    written: int = 0
    """Number of new items."""
    same: int = 0
    """Number of items that existed already, equal to those in the file."""
    kept: list[str] = field(default_factory=list)
    """A message for each existing item that differs from the file and was kept."""
    replaced: list[str] = field(default_factory=list)
    """A message for each existing item that was replaced, or that a dry run would replace."""

    def __iadd__(self, other: Tally) -> Self:
        self.written += other.written
        self.same += other.same
        self.kept += other.kept
        self.replaced += other.replaced
        return self


class Part(Protocol):
    """One type of stored data. Loading only adds: existing items are never changed."""

    @property
    def name(self) -> str:
        """Name of the part, such as `agents` or `vectors`."""
        ...

    @property
    def kinds(self) -> Sequence[str]:
        """Kinds of its items, in the order in which they must be loaded."""
        ...

    def dump(self) -> AsyncIterator[Item]:
        """Yields all items.

        Raises:
            StoreUnavailable: they cannot be read.
        """
        ...

    def check(self, item: Item) -> None:
        """Checks an item without writing anything.

        Raises:
            ValueError: it is not an item that `dump` yields.
        """

    async def load(self, items: Sequence[Item]) -> Tally:
        """Writes the items of one kind that do not exist yet; safe to repeat.

        Raises:
            ValueError: one is not an item that `dump` yields.
            StoreUnavailable: some could not be written.
        """
        ...
