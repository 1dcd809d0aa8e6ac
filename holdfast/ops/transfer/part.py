"""What travels, beside runs: the seam between the file and what is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

from holdfast.ops.transfer.bundle import Item


@dataclass
class Tally:
    """What became of the things of one part."""

    written: int = 0
    """Were not there."""
    same: int = 0
    """Were there already, as the file has them."""
    kept: list[str] = field(default_factory=list)
    """Why things were left as they are here, and not made as the file has them."""

    def __iadd__(self, other: Tally) -> Self:
        self.written += other.written
        self.same += other.same
        self.kept += other.kept
        return self


class Part(Protocol):
    """One sort of things that are kept. Loading adds: what is there already is never changed."""

    @property
    def name(self) -> str:
        """What people call it: `agents`, `vectors`."""
        ...

    @property
    def kinds(self) -> Sequence[str]:
        """Of its items, in the order in which they are loaded."""
        ...

    def dump(self) -> AsyncIterator[Item]:
        """Everything, item by item.

        Raises:
            StoreUnavailable: it cannot be read.
        """
        ...

    def check(self, item: Item) -> None:
        """Looks at an item without writing anything.

        Raises:
            ValueError: it is not what `dump` gives.
        """

    async def load(self, items: Sequence[Item]) -> Tally:
        """Writes items of one kind, those that are not there; doing it again changes nothing.

        Raises:
            ValueError: one is not what `dump` gives.
            StoreUnavailable: not all could be written.
        """
        ...
