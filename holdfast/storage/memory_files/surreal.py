"""Files of memory folders on SurrealDB."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any

from surrealdb import RecordID
from typing_extensions import override

from holdfast.errors import PayloadUnreadable, StoreUnavailable
from holdfast.ports.memory_files import MemoryFileStore, StoredFolder
from holdfast.storage.database import Database, retry_conflicts
from holdfast.storage.encryption import KeyRing, key_of

CLAIM = "INSERT IGNORE INTO memory_folder $row RETURN NONE"
OWNER = "SELECT VALUE agent FROM $folder"
FILES = "memory_file:[$path, NONE]..=[$path, ..]"
VERSIONS = f"SELECT id, version FROM {FILES}"  # noqa: S608 - a constant
FETCH = "SELECT id, version, data, key FROM $rows"
PUT = "UPSERT $row CONTENT $content RETURN VALUE version"
PUT_IF = "UPDATE $row CONTENT $content WHERE version = $seen RETURN VALUE version"
DELETE = "DELETE $rows RETURN NONE"
FOLDERS = "SELECT id, agent FROM memory_folder ORDER BY id"
TOTAL = f"SELECT count() AS count, math::sum(size) AS bytes FROM {FILES} GROUP ALL"  # noqa: S608 - a constant
CLEAR = f"BEGIN; DELETE {FILES} RETURN NONE; DELETE $folder RETURN NONE; COMMIT"


class SurrealMemoryFiles(MemoryFileStore):
    """One row for each folder, and one for each file.

    Args:
        database: the database; it is not closed with this object.
        keys: encrypt the files; `None` stores them in plain text.
    """

    def __init__(self, database: Database, keys: KeyRing | None = None) -> None:
        self._database = database
        self._keys = keys

    @override
    async def claim(self, path: str, agent: str) -> str:
        folder = RecordID("memory_folder", path)
        await self._write(CLAIM, row={"id": folder, "agent": agent})
        [found] = await self._database.run(OWNER, folder=folder)
        if not found:  # the database does not report a write that permissions forbid
            raise StoreUnavailable("the database ignored a memory folder: check that its user may write")
        return str(found[0])

    @override
    async def versions(self, path: str) -> dict[str, str]:
        [rows] = await self._database.run(VERSIONS, path=path)
        return {row["id"].id[1]: row["version"] for row in rows}

    @override
    async def fetch(self, path: str, names: Sequence[str]) -> dict[str, tuple[str, bytes]]:
        found: dict[str, tuple[str, bytes]] = {}
        for name in names:  # one by one, as together they may be large
            [rows] = await self._database.run(FETCH, rows=[_row(path, name)])
            for row in rows:
                found[name] = row["version"], self._unpacked(path, name, row)
        return found

    @override
    async def put(self, path: str, name: str, data: bytes, *, seen: str | None = None) -> str | None:
        key, packed = self._keys.first if self._keys else None, zlib.compress(data)
        content = {
            "version": token_hex(8),
            "data": key.encrypt(packed, path.encode(), name.encode()) if key else packed,
            "size": len(data),
            "at": datetime.now(UTC),
            **({"key": key.name} if key else {}),
        }
        row = _row(path, name)
        if seen is not None:
            found = await self._write(PUT_IF, row=row, content=content, seen=seen)
            return str(content["version"]) if found else None
        if not await self._write(PUT, row=row, content=content):
            raise StoreUnavailable("the database ignored a memory file: check that its user may write")
        return str(content["version"])

    @override
    async def delete(self, path: str, name: str) -> None:
        await self._write(DELETE, rows=[_row(path, name)])

    @override
    async def folders(self) -> list[StoredFolder]:
        [rows] = await self._database.run(FOLDERS)
        found = []
        for row in rows:
            [total] = await self._database.run(TOTAL, path=row["id"].id)
            count, size = (total[0]["count"], total[0]["bytes"]) if total else (0, 0)
            found.append(StoredFolder(row["id"].id, row["agent"], count, size))
        return found

    @override
    async def clear(self, path: str) -> None:
        await self._write(CLEAR, path=path, folder=RecordID("memory_folder", path))

    async def _write(self, statement: str, **values: Any) -> Any:
        results = await retry_conflicts(lambda: self._database.run(statement, **values), "a memory folder")
        return results[-1] if results else None

    def _unpacked(self, path: str, name: str, row: dict[str, Any]) -> bytes:
        key = row.get("key")
        data = key_of(self._keys, key).decrypt(row["data"], path.encode(), name.encode()) if key else row["data"]
        try:
            return zlib.decompress(data)
        except zlib.error:
            raise PayloadUnreadable(f"the file {name!r} of the memory folder {path!r} is damaged") from None


def _row(path: str, name: str) -> RecordID:
    return RecordID("memory_file", [path, name])
