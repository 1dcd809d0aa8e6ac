"""The port of the store that keeps files by content."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol, runtime_checkable


@runtime_checkable
class FileStore(Protocol):
    """Keeps files as chunks, each stored once, and trees, which say what is in a folder.

    Every method but `split` may raise StoreUnavailable.
    """

    @property
    def identity(self) -> str:
        """Changes with the key that chunks are named by."""
        ...

    def split(self, data: bytes) -> list[tuple[str, bytes]]:
        """Returns the chunks of a file with their names, in order; it takes a tenth of a second for 8 MB."""
        ...

    async def lacking(self, names: Iterable[str]) -> list[str]:
        """Returns the names of the chunks that must be stored."""
        ...

    async def keep(self, chunks: Mapping[str, bytes]) -> None:
        """Stores the new ones of these chunks."""

    async def read(self, names: Sequence[str]) -> dict[str, bytes]:
        """Returns chunks by name.

        Raises:
            PayloadUnreadable: a chunk is missing or damaged, or its key is not configured.
        """
        ...

    async def put_tree(self, owner: str, data: bytes, chunks: Mapping[str, bytes] = MappingProxyType({})) -> str:
        """Stores a tree that a run needs, and returns its reference.

        Args:
            owner: the run.
            data: the encoded tree; empty for an empty folder, whose reference is empty too.
            chunks: those of its chunks that may not be stored yet.
        """
        ...

    async def get_tree(self, tree: str) -> bytes:
        """Returns an encoded tree by its reference.

        Raises:
            PayloadUnreadable: it is missing or damaged, or its key is not configured.
        """
        ...

    async def claim(self, owner: str, trees: Iterable[str]) -> None:
        """Keeps the content of trees for a run, until `release`."""

    async def release(self, owner: str) -> None:
        """Forgets what a run needs; what nothing else needs is deleted by `sweep` of the store."""
