"""Files by content on SurrealDB."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from types import MappingProxyType

from cachetools import LRUCache
from surrealdb import RecordID
from typing_extensions import override

from holdfast._util.batches import batches
from holdfast.errors import PayloadUnreadable
from holdfast.ports.workspaces import FileStore
from holdfast.storage.database import Database, retry_conflicts
from holdfast.storage.encryption import KeyRing
from holdfast.storage.payloads.chunk_store import ChunkStore
from holdfast.storage.payloads.chunk_table import Amount, ChunkTable
from holdfast.storage.payloads.claim import Claim
from holdfast.trees import Tree

TABLE, USES = "file_chunk", "file_use"
SEPARATOR = ":"  # between the parts of a name or a reference; neither hashes nor names of keys contain it
CLAIMED = 10_000  # uses that are remembered, so that each is written once

USE = "INSERT IGNORE INTO file_use $rows RETURN VALUE id"
PRESENT = "SELECT VALUE id FROM $rows"
RELEASE = "DELETE file_use:[$owner, NONE]..=[$owner, ..] RETURN NONE"
PAGE = "SELECT VALUE id FROM file_use WHERE id > $after ORDER BY id LIMIT $limit"
FIRST = "SELECT VALUE id FROM file_use ORDER BY id LIMIT $limit"
PAGE_ROWS = 500


class SurrealFiles(FileStore):
    """Two tables: chunks, and which run needs which tree.

    Args:
        database: the database; it is not closed with this object.
        keys: encrypt the chunks; `None` stores them in plain text.
    """

    def __init__(self, database: Database, keys: KeyRing | None = None) -> None:
        self._database = database
        self._table = ChunkTable(database, TABLE)
        self._chunks = ChunkStore(self._table, keys)
        self._key = keys.first.name if keys else None
        self._claimed: LRUCache[tuple[str, str], None] = LRUCache(CLAIMED)

    @property
    @override
    def identity(self) -> str:
        return self._key or ""

    @override
    def split(self, data: bytes) -> list[tuple[str, bytes]]:
        return [(self._name(name), chunk) for name, chunk in self._chunks.split(data)]

    @override
    async def lacking(self, names: Iterable[str]) -> list[str]:
        rows = {_row(name): name for name in names}
        return [rows[row] for row in await self._chunks.lacking(rows)]

    @override
    async def keep(self, chunks: Mapping[str, bytes]) -> None:
        await self._chunks.keep({_row(name): chunk for name, chunk in chunks.items()})

    @override
    async def read(self, names: Sequence[str]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for key, group in groupby(sorted(names, key=lambda name: _key_of(name) or ""), _key_of):
            wanted = list(group)
            chunks = await self._chunks.read([_row(name) for name in wanted], key, "the files of a folder")
            found |= {name: chunks[_row(name)] for name in wanted}
        return found

    @override
    async def put_tree(self, owner: str, data: bytes, chunks: Mapping[str, bytes] = MappingProxyType({})) -> str:
        if not data:
            return ""
        claim = await self._chunks.put(data, {_row(name): chunk for name, chunk in chunks.items()})
        tree = SEPARATOR.join([claim.manifest, str(claim.size), *([claim.key] if claim.key else [])])
        await self.claim(owner, [tree])
        return tree

    @override
    async def get_tree(self, tree: str) -> bytes:
        return await self._chunks.get(_claim(tree)) if tree else b""

    @override
    async def claim(self, owner: str, trees: Iterable[str]) -> None:
        new = [tree for tree in dict.fromkeys(trees) if tree and (owner, tree) not in self._claimed]
        if not new:
            return
        now = datetime.now(UTC)
        rows = [{"id": RecordID(USES, [owner, tree]), "at": now} for tree in new]
        await retry_conflicts(lambda: self._database.run(USE, rows=rows), f"the files of {owner!r}")
        self._claimed.update(dict.fromkeys((owner, tree) for tree in new))

    @override
    async def release(self, owner: str) -> None:
        await self._database.run(RELEASE, owner=owner)
        for key in [key for key in self._claimed if key[0] == owner]:
            del self._claimed[key]

    async def amount(self) -> Amount:
        """Returns the amount of all chunks.

        Raises:
            StoreUnavailable: the database is unavailable.
        """
        return await self._table.amount()

    async def missing(self, tree: str) -> list[str]:
        """Returns the paths of the files in a tree whose content is not in the database.

        Raises:
            StoreUnavailable: the database is unavailable.
            PayloadUnreadable: the tree itself cannot be read.
        """
        found = Tree.decode(await self.get_tree(tree))
        names = {_row(name) for name in found.chunks}
        present: set[str] = set()
        for some in batches(names, most=PAGE_ROWS):
            [rows] = await self._database.run(PRESENT, rows=[RecordID(TABLE, name) for name in some])
            present |= {row.id for row in rows}
        return [path for path, node in found.files if any(_row(name) not in present for name in node.chunks)]

    async def sweep(self, *, dry_run: bool = False) -> Amount:
        """Deletes what no run needs, unless it was stored in the last nine days.

        Args:
            dry_run: only return what would be deleted.

        Returns:
            The amount that was deleted.

        Raises:
            StoreUnavailable: the database is unavailable.
            PayloadUnreadable: a tree cannot be read, so that nothing was deleted: it is not known what it needs.
        """
        used: set[str] = set()
        seen: set[str] = set()
        async for trees in self._used_trees():
            for tree in set(trees) - seen:
                claim = _claim(tree)
                used |= {claim.manifest, *await self._chunks.names(claim)}
                used |= {_row(name) for name in Tree.decode(await self.get_tree(tree)).chunks}
            seen |= set(trees)
        return await self._table.sweep(used, dry_run=dry_run)

    async def _used_trees(self) -> AsyncIterator[list[str]]:
        [found] = await self._database.run(FIRST, limit=PAGE_ROWS)
        while found:
            yield [identity.id[1] for identity in found]
            if len(found) < PAGE_ROWS:
                return
            [found] = await self._database.run(PAGE, after=found[-1], limit=PAGE_ROWS)

    def _name(self, row: str) -> str:
        """Returns the name of a chunk that is stored with the current key."""
        return SEPARATOR.join([row, *([self._key] if self._key else [])])


def _row(name: str) -> str:
    return name.partition(SEPARATOR)[0]


def _key_of(name: str) -> str | None:
    return name.partition(SEPARATOR)[2] or None


def _claim(tree: str) -> Claim:
    manifest, _, rest = tree.partition(SEPARATOR)
    size, _, key = rest.partition(SEPARATOR)
    if not size.isdecimal():
        raise PayloadUnreadable(f"{tree!r:.100} is not the reference of a recorded folder")
    return Claim(manifest, int(size), key or None)
