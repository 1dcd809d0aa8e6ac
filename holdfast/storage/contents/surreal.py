"""The store of contents on SurrealDB."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cachetools import LRUCache
from surrealdb import RecordID
from typing_extensions import override

from holdfast.errors import PayloadUnreadable, StoreUnavailable
from holdfast.ports.contents import ContentStore
from holdfast.storage.database import Database, retry_conflicts
from holdfast.storage.database.surql import statement
from holdfast.storage.days import oldest_fresh, prunable_before, today
from holdfast.storage.encryption import Key, KeyRing, key_of

PART_BYTES = 512 * 1024  # per statement, so that other statements run in between
CACHE_BYTES = 64 * 1024 * 1024  # of contents: each turn of a run sends them again
PURPOSE = b"content"

FIND = "SELECT size, parts, complete, key, day FROM ONLY $head"
RENEW = "UPDATE $heads SET day = $day WHERE complete = true RETURN VALUE parts"
BEGIN = "INSERT INTO content $row ON DUPLICATE KEY UPDATE day = $input.day RETURN NONE"
WRITE = "UPSERT $part CONTENT { data: $data } RETURN VALUE id"
COMPLETE = "UPDATE $head SET complete = true RETURN VALUE complete"
DIGESTS = "SELECT VALUE id FROM {{record}}('content', $after>..) WHERE complete = true LIMIT $limit"
READ = "SELECT VALUE data FROM ONLY $part"
OLD = "SELECT id, size FROM content WHERE day < $before AND id > $after ORDER BY id LIMIT $limit"
USED = "SELECT VALUE digests FROM attachment WHERE digests CONTAINSANY $digests"
DROP = statement("holdfast.storage.contents", "drop")
PAGE = 200


@dataclass(frozen=True)
class StoredPart:
    """A part of a content, as it is stored."""

    digest: str
    """Of the content."""
    number: int
    """From 0."""
    parts: int
    """Number of parts of the content."""
    size: int
    """Bytes of the content."""
    key: str | None
    """Name of the key that encrypts it; `None` if it is not encrypted."""
    data: bytes


class SurrealContents(ContentStore):
    """Contents in rows of parts. The row that names a content is complete only when all its parts are written.

    Args:
        database: the database; it is never closed here.
        keys: encrypt the contents; `None` stores them as they are.
    """

    def __init__(self, database: Database, keys: KeyRing | None = None) -> None:
        self._database = database
        self._keys = keys
        self._cache: LRUCache[str, bytes] = LRUCache(CACHE_BYTES, getsizeof=len)

    @override
    async def put(self, data: bytes) -> str:
        key = self._keys.first if self._keys else None
        digest = await asyncio.to_thread(_digest, data, key)
        await retry_conflicts(lambda: self._keep(digest, data, key), f"content {digest}")
        self._remember(digest, data)
        return digest

    @override
    async def get(self, digest: str) -> bytes:
        if (known := self._cache.get(digest)) is not None:
            return known
        [found] = await self._database.run(FIND, head=_head(digest))
        if found is None or not found["complete"]:
            raise PayloadUnreadable(
                f"content {digest} is not in the database: check that this is the right one and that it was not emptied"
            )
        key = key_of(self._keys, found["key"]) if found.get("key") else None
        sealed = [await self._part(digest, number) for number in range(found["parts"])]
        data = await asyncio.to_thread(_opened, sealed, key)
        if await asyncio.to_thread(_digest, data, key) != digest:
            raise PayloadUnreadable(f"content {digest} is damaged: it does not match its digest")
        self._remember(digest, data)
        return data

    @override
    async def prune(self, before: datetime, *, dry_run: bool = False) -> tuple[int, int]:
        limit = prunable_before(before)
        count, size, after = 0, 0, _head("")
        while True:
            [rows] = await self._database.run(OLD, before=limit, after=after, limit=PAGE)
            used = await self._used(rows) if rows else set()
            unused = [row for row in rows if row["id"].id not in used]
            count, size = count + len(unused), size + sum(row["size"] for row in unused)
            if not dry_run:
                await self._database.run(RENEW, heads=[row["id"] for row in rows if row["id"].id in used], day=today())
                for row in unused:
                    await self._database.run(DROP, head=row["id"], digest=row["id"].id, before=limit)
                    self._cache.pop(row["id"].id, None)
            if len(rows) < PAGE:
                return count, size
            after = rows[-1]["id"]

    async def digests(self) -> AsyncIterator[str]:
        """Yields the digests of all contents."""
        after = ""
        while True:
            [ids] = await self._database.run(DIGESTS, after=after, limit=PAGE)
            for each in ids:
                yield each.id
            if len(ids) < PAGE:
                return
            after = ids[-1].id

    async def stored_parts(self, digest: str) -> AsyncIterator[StoredPart]:
        """Yields the parts of a content as they are stored, in order; none if it is not in the database."""
        [found] = await self._database.run(FIND, head=_head(digest))
        if found is None or not found["complete"]:
            return
        for number in range(found["parts"]):
            data = await self._part(digest, number)
            yield StoredPart(digest, number, found["parts"], found["size"], found.get("key"), data)

    async def restore(self, part: StoredPart) -> bool:
        """Writes a part that `stored_parts` yielded; the content is complete with its last one.

        Returns:
            Whether it was written, not there already.
        """
        head, day = _head(part.digest), today()
        [found] = await self._database.run(FIND, head=head)
        if found is not None and found["complete"]:
            return False
        row = {"id": head, "size": part.size, "parts": part.parts, "complete": False, "day": day}
        await self._database.run(BEGIN, row={**row, "key": part.key} if part.key else row)
        await self._database.run(WRITE, part=_part_id(part.digest, part.number), data=part.data)
        if part.number == part.parts - 1:
            await self._database.run(COMPLETE, head=head)
        return True

    async def _used(self, rows: list[dict[str, Any]]) -> set[str]:
        """Returns the digests among these that messages in the mirror refer to."""
        [found] = await self._database.run(USED, digests=[row["id"].id for row in rows])
        return {digest for digests in found for digest in digests}

    async def _keep(self, digest: str, data: bytes, key: Key | None) -> None:
        head, day = _head(digest), today()
        [found] = await self._database.run(FIND, head=head)
        if found is not None and found["complete"]:
            if found["day"] >= oldest_fresh():
                return
            [renewed] = await self._database.run(RENEW, heads=[head], day=day)
            if renewed:
                return
        parts = range(0, len(data), PART_BYTES)
        row = {"id": head, "size": len(data), "parts": len(parts), "complete": False, "day": day}
        await self._database.run(BEGIN, row={**row, "key": key.name} if key else row)
        for number, start in enumerate(parts):
            sealed = await asyncio.to_thread(_sealed, data[start : start + PART_BYTES], key)
            await self._database.run(WRITE, part=_part_id(digest, number), data=sealed)
        [completed] = await self._database.run(COMPLETE, head=head)
        if not completed:  # the database does not report a write that permissions forbid
            raise StoreUnavailable("the database ignored a content: check that its user may write")

    async def _part(self, digest: str, number: int) -> bytes:
        [data] = await self._database.run(READ, part=_part_id(digest, number))
        if data is None:
            raise PayloadUnreadable(f"part {number} of content {digest} is not in the database")
        return bytes(data)

    def _remember(self, digest: str, data: bytes) -> None:
        if len(data) <= CACHE_BYTES:
            self._cache[digest] = data


def _head(digest: str) -> RecordID:
    return RecordID("content", digest)


def _part_id(digest: str, number: int) -> RecordID:
    return RecordID("content_part", [digest, number])


def _digest(data: bytes, key: Key | None) -> str:
    return key.address(data).hex() if key else hashlib.sha256(data).hexdigest()


def _sealed(data: bytes, key: Key | None) -> bytes:
    return key.encrypt(data, PURPOSE) if key else data


def _opened(parts: list[bytes], key: Key | None) -> bytes:
    return b"".join(key.decrypt(part, PURPOSE) if key else part for part in parts)
