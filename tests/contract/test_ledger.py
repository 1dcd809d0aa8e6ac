"""Ledgers: each fulfills the port's contract on each kind of database, alone and shared by processes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from holdfast.ports.ledger import Ledger
from holdfast.storage.database import open_database
from holdfast.storage.ledger import MemoryLedger, SurrealLedger
from holdfast.storage.ledger.conformance import CHECKS, Check
from tests.support.databases import Databases
from tests.support.tiers import slow

BACKENDS = ("memory", "surrealkv", "ws", "gateway", *slow("mem", "http"))


@pytest.fixture(params=BACKENDS)
async def ledger(request: pytest.FixtureRequest, databases: Databases, tmp_path: Path) -> AsyncIterator[Ledger]:
    """A ledger on each backend in turn; `gateway` goes through another owner of the database."""
    kind, url = str(request.param), f"surrealkv://{tmp_path}/shared"
    match kind:
        case "memory":
            yield MemoryLedger()
        case "gateway":
            holder, database = open_database(url, shared=True), open_database(url, shared=True)
            await holder.open()
            yield SurrealLedger(database)
            await database.close()
            await holder.close()
        case _:
            yield SurrealLedger(databases.new(kind))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_keeps_its_promises(check: Check, ledger: Ledger) -> None:
    """Every backend passes the conformance suite of the port."""
    await check(ledger)
