"""The mirror of runs whose content is encrypted."""

from __future__ import annotations

import pytest

from holdfast.storage.database import open_database
from holdfast.storage.encryption import KeyRing, new_key
from holdfast.storage.mirror.surreal import SurrealStore
from tests.support.logs import Log, Turn

NAMES = "SELECT VALUE tool FROM tool_call ORDER BY tool"
TEXTS = "SELECT VALUE tools FROM message"


@pytest.mark.parametrize("size", [1, 2, 100])
async def test_only_tools_that_ran_are_named(size: int) -> None:
    """The rows of a call name its tool only if it ran, however the entries are batched, and they match the log."""
    log = Log(turns=(Turn("go", ("made up", "ran"), (1, 0), None),), ended=True)  # the first one took no time
    database = open_database("mem://")
    store = SurrealStore(database, KeyRing.parse(new_key()))
    for first in range(0, len(log.entries), size):
        await store.append(log.batch(first, first + size))
    assert await database.run(NAMES) == [["", "tool ran"]]
    [lists] = await database.run(TEXTS)
    assert not any(lists)
    assert await store.differences(log.batch()) == []
    assert await store.entries(log.run_id) == log.entries
    await store.close()
    await database.close()
