"""The guarantees of every store of contents, as a check that each implementation passes."""

from __future__ import annotations

import asyncio

from holdfast.errors import PayloadUnreadable
from holdfast.ports.contents import ContentStore
from holdfast.storage.assertions import refused, require, same


async def check_contents(store: ContentStore) -> None:
    """Checks that a store keeps contents of any size, each under one digest.

    Args:
        store: empty, or at least without these contents.

    Raises:
        AssertionError: it does not.
    """
    large = bytes(range(256)) * 8_192
    contents = [b"\0", b"a picture", large, large + b"!"]
    digests = [await store.put(data) for data in contents]
    require(len(set(digests)) == len(contents), "each content has a digest of its own")
    found = await asyncio.gather(*(store.get(digest) for digest in digests))
    same(found, contents, "a content comes back unchanged")
    again = await asyncio.gather(*(store.put(data) for data in contents * 3))
    same(again, digests * 3, "a content that is stored again, also at the same time, has the same digest")
    require(await store.get(digests[2]) == large, "and comes back unchanged")
    await refused(store.get("0" * 64), PayloadUnreadable)
