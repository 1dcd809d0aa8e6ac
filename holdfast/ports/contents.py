"""The port of the store of attachments' contents."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol, runtime_checkable


@runtime_checkable
class ContentStore(Protocol):
    """Stores each content once, whichever runs refer to it; every method may raise StoreUnavailable."""

    async def put(self, data: bytes) -> str:
        """Stores a content, unless it is stored already, and returns its digest.

        Args:
            data: at least one byte.
        """
        ...

    async def get(self, digest: str) -> bytes:
        """Returns a content.

        Raises:
            PayloadUnreadable: it is not in the store, it was altered, or its key is not configured.
        """
        ...

    async def prune(self, before: datetime, *, dry_run: bool = False) -> tuple[int, int]:
        """Deletes contents that were last stored well before a time, and that no run of the mirror refers to.

        Args:
            before: an aware time; as with payloads, the start of the oldest run that Temporal has is always safe.
            dry_run: only return what would be deleted.

        Returns:
            The number of contents that were deleted, and their bytes.
        """
        ...


ContentSource = Callable[[], "ContentStore | None"]
"""Returns the store of contents, opening it on demand; `None` means that this process shares none with the workers."""
