"""Export and import of the contents of attachments. Encrypted contents stay encrypted."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator, Iterable, Sequence

from typing_extensions import override

from holdfast.ops.transfer.bundle import Item
from holdfast.ops.transfer.part import Part, Tally
from holdfast.storage.contents.surreal import StoredPart, SurrealContents

DIGEST = re.compile(r"[0-9a-f]{64}")
KIND = "content"


class Contents(Part):
    """The contents of attachments, each in parts; for retention, each counts as stored on the day of its import.

    Args:
        store: has them.
    """

    name = "contents"
    kinds = (KIND,)

    def __init__(self, store: SurrealContents) -> None:
        self._store = store

    @override
    async def dump(self) -> AsyncIterator[Item]:
        async for digest in self._store.digests():
            async for item in self.of([digest]):
                yield item

    async def of(self, digests: Iterable[str]) -> AsyncIterator[Item]:
        """Yields the items of these contents, without those that are lost."""
        for digest in digests:
            async for part in self._store.stored_parts(digest):
                known = {name: value for name, value in vars(part).items() if value is not None}
                yield {"kind": KIND, **known, "data": base64.b64encode(part.data).decode()}

    @override
    def check(self, item: Item) -> None:
        _part(item)

    @override
    async def load(self, items: Sequence[Item]) -> Tally:
        tally = Tally()
        for part in map(_part, items):
            is_new = await self._store.restore(part)
            if part.number == part.parts - 1:
                tally.written += is_new
                tally.same += not is_new
        return tally


def _part(item: Item) -> StoredPart:
    digest, key, data = item.get("digest"), item.get("key"), item.get("data")
    if not isinstance(digest, str) or not DIGEST.fullmatch(digest) or not isinstance(data, str):
        raise ValueError("a content must have a `digest` of 64 hexadecimal digits, and `data`")
    if key is not None and not isinstance(key, str):
        raise ValueError("the `key` of a content is the name of a key")
    number, parts, size = (_count(item.get(name)) for name in ("number", "parts", "size"))
    if not number < parts:
        raise ValueError(f"a content of {parts} parts has no part {number}")
    return StoredPart(digest, number, parts, size, key, base64.b64decode(data, validate=True))


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**53:
        raise ValueError("`number`, `parts` and `size` of a content are counts")
    return value
