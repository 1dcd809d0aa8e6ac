"""Budgets per day: each implementation fulfills the port's contract on each kind of database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from holdfast.ports.day_budgets import DayBudgets
from holdfast.storage.budgets import MemoryDayBudgets, SurrealDayBudgets
from holdfast.storage.budgets.conformance import CHECKS, Check
from holdfast.storage.database import open_database
from tests.support.databases import Databases
from tests.support.tiers import slow

BACKENDS = ("memory", "surrealkv", "ws", "gateway", *slow("mem", "http"))


@pytest.fixture(params=BACKENDS)
async def budgets(request: pytest.FixtureRequest, databases: Databases, tmp_path: Path) -> AsyncIterator[DayBudgets]:
    """Budgets on each backend in turn; `gateway` goes through another owner of the database."""
    kind, url = str(request.param), f"surrealkv://{tmp_path}/shared"
    match kind:
        case "memory":
            yield MemoryDayBudgets()
        case "gateway":
            holder, database = open_database(url, shared=True), open_database(url, shared=True)
            await holder.open()
            yield SurrealDayBudgets(database)
            await database.close()
            await holder.close()
        case _:
            yield SurrealDayBudgets(databases.new(kind))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_keeps_its_promises(check: Check, budgets: DayBudgets) -> None:
    """Every backend passes the conformance suite of the port."""
    await check(budgets)
