"""A storage driver that keeps Temporal's large payloads in SurrealDB."""

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
DEADLINE = 7.0
"""Seconds that one call waits for the database; a workflow task has ten before it is retried."""
INLINE_DEADLINE = 2.0
"""Seconds that it waits if the payload fits into Temporal."""
PAUSE = 0.5  # seconds between attempts
AVOIDED_FOR = 5.0  # seconds after an outage during which small payloads do not try the database


class PayloadDriver(StorageDriver):
    """Stores large payloads in the database, and a claim of some hundred bytes in the history.

    While the database is unavailable, a payload that fits is put into the claim itself, so a run without large payloads
    never waits for the database. Larger payloads wait; the workflow task or activity is then retried.

    Args:
        open_chunk_store: returns the chunk store; called once, on first use.
        keys: encrypt payloads inside claims; the same as the chunk store's.
    """

    def __init__(self, open_chunk_store: Callable[[], ChunkStore], keys: KeyRing | None = None) -> None:
        self._chunk_store = cache(open_chunk_store)
        self._keys = keys
        self._avoided_until = 0.0

    def name(self) -> str:
        """Returns the driver's name in references of histories."""
        return NAME

    def type(self) -> str:
        """Returns the driver's type, for Temporal's UI."""
        return "holdfast.surrealdb"

    async def store(self, context: StorageDriverStoreContext, payloads: Sequence[Payload]) -> list[StorageDriverClaim]:  # noqa: ARG002
        """Stores payloads.

        Raises:
            StoreUnavailable: a payload is too large for a claim, and the database is unavailable.
        """
        return [StorageDriverClaim(await self._store(payload.SerializeToString())) for payload in payloads]

    async def retrieve(
        self,
        context: StorageDriverRetrieveContext,  # noqa: ARG002
        claims: Sequence[StorageDriverClaim],
    ) -> list[Payload]:
        """Returns stored payloads.

        Raises:
            StoreUnavailable: the database is unavailable.
            PayloadUnreadable: the stored data or its key is missing.
        """
        return [Payload.FromString(await self._retrieve(claim.claim_data)) for claim in claims]

    async def _store(self, data: bytes) -> dict[str, str]:
        small = len(data) <= INLINE_LIMIT
        if small and time.monotonic() < self._avoided_until:
            return self._inline(data)
        try:
            claim = await _retry(lambda: self._chunk_store().put(data), INLINE_DEADLINE if small else DEADLINE)
        except StoreUnavailable as error:
            self._avoided_until = time.monotonic() + AVOIDED_FOR
            if small:
                log.warning(
                    "the database is unavailable; a payload is kept inside Temporal", bytes=len(data), error=str(error)
                )
                return self._inline(data)
            raise StoreUnavailable(f"a payload of {len(data):,} bytes could not be stored: {error}") from error
        self._avoided_until = 0.0
        return _claim_data(manifest=claim.manifest, size=str(claim.size), key=claim.key)

    async def _retrieve(self, claim: Mapping[str, str]) -> bytes:
        if "inline" in claim:
            return self._from_inline(claim)
        try:
            wanted = Claim(claim["manifest"], int(claim["size"]), claim.get("key"))
        except (KeyError, ValueError):
            raise PayloadUnreadable(
                f"this version cannot read the payload reference {dict(claim)}: update it"
            ) from None
        return await _retry(lambda: self._chunk_store().get(wanted), DEADLINE)

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


async def _retry(attempt: Callable[[], Awaitable[T]], deadline: float) -> T:
    """Retries for `deadline` seconds; raises the last StoreUnavailable."""
    end = time.monotonic() + deadline
    while True:
        try:
            async with asyncio.timeout(max(end - time.monotonic(), 0.1)):
                return await attempt()
        except TimeoutError:
            raise StoreUnavailable(f"no answer within {deadline:g} s") from None
        except StoreUnavailable:
            if time.monotonic() + PAUSE > end:
                raise
        await asyncio.sleep(PAUSE)
