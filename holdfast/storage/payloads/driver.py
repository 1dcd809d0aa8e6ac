"""Temporal's external storage, on SurrealDB."""

from __future__ import annotations

import asyncio
import base64
import time
import zlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    StorageDriver,
    StorageDriverClaim,
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
)

from holdfast._util.logger import get_logger
from holdfast.errors import PayloadUnreadable, StoreUnavailable
from holdfast.storage.encryption import KeyRing, key_of
from holdfast.storage.payloads.claim import Claim
from holdfast.temporal.routing import INLINE_LIMIT

if TYPE_CHECKING:
    from holdfast.storage.payloads.chunk_store import ChunkStore

log = get_logger(__name__)
T = TypeVar("T")

NAME = "holdfast"
PATIENCE = 7.0
"""Seconds that one call waits for the store; a workflow task has ten, and is then made again."""
QUICK_PATIENCE = 2.0
"""Seconds that it waits where the payload can travel inside Temporal as well."""
PAUSE = 0.5  # seconds between attempts
AVOIDED_FOR = 5.0  # seconds in which a store that was away is not tried where that can be helped


class PayloadDriver(StorageDriver):
    """Puts large payloads into the database, and leaves a claim of some hundred bytes in the history.

    While the store is away, a payload that fits goes into the claim itself, so that a run without large payloads
    never waits for it. One that does not fit waits, and the workflow task or activity is then made again.

    Args:
        open_chunk_store: gives what has the payloads; called once, when it is needed.
        keys: encrypts what goes into a claim; the chunk_store's own.
    """

    def __init__(self, open_chunk_store: Callable[[], ChunkStore], keys: KeyRing | None = None) -> None:
        self._chunk_store = cache(open_chunk_store)
        self._keys = keys
        self._avoided_until = 0.0

    def name(self) -> str:
        """What references in histories call it."""
        return NAME

    def type(self) -> str:
        """What Temporal's UI calls it."""
        return "holdfast.surrealdb"

    async def store(self, context: StorageDriverStoreContext, payloads: Sequence[Payload]) -> list[StorageDriverClaim]:  # noqa: ARG002
        """Stores payloads.

        Raises:
            StoreUnavailable: one is too large to do without the store, and it is away.
        """
        return [StorageDriverClaim(await self._store(payload.SerializeToString())) for payload in payloads]

    async def retrieve(
        self,
        context: StorageDriverRetrieveContext,  # noqa: ARG002
        claims: Sequence[StorageDriverClaim],
    ) -> list[Payload]:
        """Gives payloads back.

        Raises:
            StoreUnavailable: the store is away.
            PayloadUnreadable: what is stored, or its key, is gone.
        """
        return [Payload.FromString(await self._retrieve(claim.claim_data)) for claim in claims]

    async def _store(self, data: bytes) -> dict[str, str]:
        small = len(data) <= INLINE_LIMIT
        if small and time.monotonic() < self._avoided_until:
            return self._inline(data)
        try:
            claim = await _patiently(lambda: self._chunk_store().put(data), QUICK_PATIENCE if small else PATIENCE)
        except StoreUnavailable as error:
            self._avoided_until = time.monotonic() + AVOIDED_FOR
            if small:
                log.warning("the store is away; a payload travels inside Temporal", bytes=len(data), error=str(error))
                return self._inline(data)
            raise StoreUnavailable(f"a payload of {len(data):,} bytes waits for the store: {error}") from error
        self._avoided_until = 0.0
        return _claim_data(manifest=claim.manifest, size=str(claim.size), key=claim.key)

    async def _retrieve(self, claim: Mapping[str, str]) -> bytes:
        if "inline" in claim:
            return self._from_inline(claim)
        try:
            wanted = Claim(claim["manifest"], int(claim["size"]), claim.get("key"))
        except (KeyError, ValueError):
            raise PayloadUnreadable(f"a reference that this version cannot read: {dict(claim)}") from None
        return await _patiently(lambda: self._chunk_store().get(wanted), PATIENCE)

    def _inline(self, data: bytes) -> dict[str, str]:
        packed = zlib.compress(data, 1)
        key = self._keys.first if self._keys else None
        sealed = key.encrypt_anew(packed) if key else packed
        return _claim_data(inline=base64.b64encode(sealed).decode(), key=key.name if key else None)

    def _from_inline(self, claim: Mapping[str, str]) -> bytes:
        sealed = base64.b64decode(claim["inline"])
        name = claim.get("key")
        if name is None:
            return zlib.decompress(sealed)
        return zlib.decompress(key_of(self._keys, name).decrypt_anew(sealed))


def _claim_data(**data: str | None) -> dict[str, str]:
    return {name: value for name, value in data.items() if value is not None}


async def _patiently(attempt: Callable[[], Awaitable[T]], patience: float) -> T:
    """Tries for some seconds; raises StoreUnavailable with the last reason."""
    deadline = time.monotonic() + patience
    while True:
        try:
            async with asyncio.timeout(max(deadline - time.monotonic(), 0.1)):
                return await attempt()
        except TimeoutError:
            raise StoreUnavailable(f"no answer in {patience:g} s") from None
        except StoreUnavailable:
            if time.monotonic() + PAUSE > deadline:
                raise
        await asyncio.sleep(PAUSE)
