"""Write conflicts: concurrent writers that read before they write all succeed, and none overwrites another."""

from __future__ import annotations

import asyncio

import pytest

from holdfast.errors import StoreUnavailable
from holdfast.storage.database import Database, WriteConflict, retry_conflicts
from tests.support.databases import EMBEDDED, SERVED, Databases

WRITERS = 12
ROUNDS = 5
ADD = """
BEGIN;
IF (counter:a.n ?? 0) != $seen { THROW 'holdfast: write conflict' };
UPSERT counter:a SET n = $seen + 1;
COMMIT
"""


async def add_one(database: Database) -> None:
    """Looks, thinks, and writes what it came to."""
    [seen] = await database.run("RETURN counter:a.n ?? 0")
    await asyncio.sleep(0)
    await database.run(ADD, seen=seen)


@pytest.mark.parametrize("kind", [*EMBEDDED, *SERVED])
async def test_each_writer_gets_its_turn(kind: str, databases: Databases) -> None:
    """Every one of many concurrent writers succeeds, and no write is lost."""
    database = databases.new(kind)
    await database.run("DEFINE TABLE counter")

    async def write_all() -> None:
        for _ in range(ROUNDS):
            await retry_conflicts(lambda: add_one(database), "the counter")

    await asyncio.gather(*(write_all() for _ in range(WRITERS)))
    assert await database.run("RETURN counter:a.n") == [WRITERS * ROUNDS]


async def test_a_writer_that_loses_every_attempt_fails() -> None:
    """A writer that loses every attempt fails in bounded time and says why."""

    async def too_late() -> None:
        raise WriteConflict("another writer was faster")

    with pytest.raises(
        StoreUnavailable, match=r"the counter was changed by other writers during each of \d+ attempts: try again"
    ):
        await retry_conflicts(too_late, "the counter")
