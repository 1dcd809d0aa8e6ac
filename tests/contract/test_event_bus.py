"""Event buses: each fulfills the port's contract on each kind of database, alone and shared by processes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from holdfast.storage.bus import Bus, MemoryLog, SurrealLog
from holdfast.storage.bus.conformance import CHECKS, Check, run_check
from holdfast.storage.database import open_database
from holdfast.storage.database.background import BackgroundDatabase
from holdfast.storage.encryption import KeyRing, new_key
from tests.support.databases import Databases
from tests.support.tiers import slow

BACKENDS = ("memory", "surrealkv", "ws", "gateway", "background", "encrypted", *slow("mem", "http"))


@pytest.fixture(params=BACKENDS)
async def bus(request: pytest.FixtureRequest, databases: Databases, tmp_path: Path) -> AsyncIterator[Bus]:
    """A bus on each backend in turn; `gateway` goes through another owner of the database."""
    kind, url = str(request.param), f"surrealkv://{tmp_path}/shared"
    match kind:
        case "memory":
            yield Bus(MemoryLog())
        case "gateway":
            holder, database = open_database(url, shared=True), open_database(url, shared=True)
            await holder.open()
            yield Bus(SurrealLog(database))
            await database.close()
            await holder.close()
        case "background":
            background = BackgroundDatabase(lambda: open_database(url, shared=True))
            yield Bus(SurrealLog(background))
            await background.close()
        case "encrypted":
            yield Bus(SurrealLog(databases.new("mem"), KeyRing.parse(new_key())))
        case _:
            yield Bus(SurrealLog(databases.new(kind)))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_keeps_its_promises(check: Check, bus: Bus) -> None:
    """Every backend passes the conformance suite of the port."""
    await run_check(check, lambda: bus)
