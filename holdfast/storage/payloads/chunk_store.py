"""A store of payloads as chunks, each stored once."""

from __future__ import annotations

import asyncio
import hashlib
import zlib
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from cachetools import LRUCache, TTLCache

from holdfast.errors import PayloadUnreadable
from holdfast.storage.encryption import Key, KeyRing, key_of
from holdfast.storage.payloads.chunk_table import ChunkTable
from holdfast.storage.payloads.chunks import chunks
from holdfast.storage.payloads.claim import Claim

PLAIN, DEFLATED = b"\0", b"\1"  # first byte of a stored chunk
LEVEL = 1  # zlib's fastest level: most of the gain on JSON, at some 50 MB/s
NAME_BYTES = 32

CACHE_BYTES = 32 * 1024 * 1024  # of chunks: the workflow and the next activity read what an activity has just stored
STORED_FOR = 10.0  # seconds before the existence of a stored chunk is checked again, since a database can be emptied
STORED_NAMES = 65_536  # remembered for that time, some 12 MB; forgetting one costs a lookup


class ChunkStore:
    """Stores each chunk once, even if several payloads contain it.

    Args:
        store: the table of chunks.
        keys: encrypt the chunks; `None` stores them in plain text.
    """

    def __init__(self, store: ChunkTable, keys: KeyRing | None = None) -> None:
        self._store = store
        self._keys = keys
        self._cache: LRUCache[str, bytes] = LRUCache(CACHE_BYTES, getsizeof=len)
        self._stored: TTLCache[str, None] = TTLCache(STORED_NAMES, STORED_FOR)

    async def put(self, data: bytes, before: Mapping[str, bytes] = MappingProxyType({})) -> Claim:
        """Stores the new chunks of a payload and returns its claim.

        Args:
            data: the payload.
            before: further chunks by name, which are stored first.

        Raises:
            StoreUnavailable: the payload could not be stored completely.
        """
        key = self._keys.first if self._keys else None
        manifest, parts = await asyncio.to_thread(_split, data, key)
        await self.keep({**before, **parts})
        return Claim(manifest, len(data), key.name if key else None)

    async def get(self, claim: Claim) -> bytes:
        """Returns a payload.

        Raises:
            StoreUnavailable: the database is unavailable.
            PayloadUnreadable: a chunk is missing or damaged, or its key is not configured.
        """
        what, names = _described(claim), await self.names(claim)
        chunks = await self.read(names, claim.key, what)
        data = b"".join(chunks[name] for name in names)
        if len(data) != claim.size:
            raise PayloadUnreadable(f"{what} was restored with {len(data):,} bytes: its chunks do not belong together")
        return data

    async def names(self, claim: Claim) -> list[str]:
        """Returns the names of a payload's chunks, in order, without the manifest; raises what `get` raises."""
        listed = (await self.read([claim.manifest], claim.key, _described(claim)))[claim.manifest]
        return [listed[start : start + NAME_BYTES].hex() for start in range(0, len(listed), NAME_BYTES)]

    def split(self, data: bytes) -> list[tuple[str, bytes]]:
        """Returns the chunks of a payload with their names, in order."""
        key = self._keys.first if self._keys else None
        return [(_name(chunk, key).hex(), chunk) for chunk in chunks(data)]

    async def lacking(self, names: Iterable[str]) -> list[str]:
        """Returns the names of the chunks that must be stored.

        Raises:
            StoreUnavailable: the database is unavailable.
        """
        unknown = [name for name in names if name not in self._stored]
        lacking = await self._store.lacking(unknown) if unknown else []
        self._stored.update(dict.fromkeys(set(unknown) - set(lacking)))
        return lacking

    async def keep(self, parts: Mapping[str, bytes]) -> None:
        """Stores the new ones of these chunks, in this order.

        Raises:
            StoreUnavailable: not all of them could be stored.
        """
        key = self._keys.first if self._keys else None
        self._cache.update(parts)
        if lacking := await self.lacking(parts):
            await self._store.keep(await asyncio.to_thread(_pack, {name: parts[name] for name in lacking}, key))
            self._stored.update(dict.fromkeys(lacking))

    async def read(self, names: Sequence[str], key: str | None, what: str) -> dict[str, bytes]:
        """Returns chunks by name.

        Args:
            names: of the chunks.
            key: name of the key that they are encrypted with; `None` if they are not encrypted.
            what: what they are chunks of, for messages.

        Raises:
            StoreUnavailable: the database is unavailable.
            PayloadUnreadable: a chunk is missing or damaged, or its key is not configured.
        """
        found = {name: data for name in names if (data := self._cache.get(name)) is not None}
        missing = [name for name in names if name not in found]
        if missing:
            packed = await self._store.fetch(missing)
            if lost := [name for name in missing if name not in packed]:
                raise PayloadUnreadable(
                    f"{len(lost)} of {len(names)} chunks of {what} are not in the database "
                    f"(first: {self._store.table}:{lost[0]}): check that this is the right database and that it was "
                    "not emptied"
                )
            fresh = await asyncio.to_thread(
                _unpack, packed, key_of(self._keys, key) if key else None, self._store.table
            )
            self._cache.update(fresh)
            found |= fresh
        return found


def _described(claim: Claim) -> str:
    return f"a payload of {claim.size:,} bytes"


def _split(data: bytes, key: Key | None) -> tuple[str, dict[str, bytes]]:
    """Returns the manifest's name and all chunks by name; the manifest is last, so it is stored after its chunks."""
    parts: dict[str, bytes] = {}
    order = b""
    for chunk in chunks(data):
        name = _name(chunk, key)
        parts[name.hex()] = chunk
        order += name
    manifest = _name(order, key).hex()
    parts[manifest] = order
    return manifest, parts


def _name(chunk: bytes, key: Key | None) -> bytes:
    return key.address(chunk) if key else hashlib.sha256(chunk).digest()


def _pack(parts: Mapping[str, bytes], key: Key | None) -> dict[str, bytes]:
    packed: dict[str, bytes] = {}
    for name, chunk in parts.items():
        deflated = zlib.compress(chunk, LEVEL)
        data = DEFLATED + deflated if len(deflated) < len(chunk) else PLAIN + chunk
        packed[name] = key.encrypt(data, b"chunk") if key else data
    return packed


def _unpack(packed: Mapping[str, bytes], key: Key | None, table: str) -> dict[str, bytes]:
    parts: dict[str, bytes] = {}
    for name, stored in packed.items():
        data = key.decrypt(stored, b"chunk") if key else stored
        try:
            chunk = zlib.decompress(data[1:]) if data[:1] == DEFLATED else data[1:]
        except zlib.error:
            chunk = b""
        if _name(chunk, key).hex() != name:
            raise PayloadUnreadable(f"row {table}:{name} is damaged: its content does not match its name")
        parts[name] = chunk
    return parts
