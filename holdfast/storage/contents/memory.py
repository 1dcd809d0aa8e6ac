"""The store of contents in the memory of one process."""

from __future__ import annotations

import hashlib
from datetime import datetime

from typing_extensions import override

from holdfast.errors import PayloadUnreadable
from holdfast.ports.contents import ContentStore


class MemoryContents(ContentStore):
    """Contents in a dictionary; they are lost with the process, and not pruned before."""

    def __init__(self) -> None:
        self._contents: dict[str, bytes] = {}

    @override
    async def put(self, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        self._contents[digest] = data
        return digest

    @override
    async def get(self, digest: str) -> bytes:
        try:
            return self._contents[digest]
        except KeyError:
            raise PayloadUnreadable(
                f"content {digest} is not in the memory of this worker: it was lost with the process that had it"
            ) from None

    @override
    async def prune(self, before: datetime, *, dry_run: bool = False) -> tuple[int, int]:
        return 0, 0
