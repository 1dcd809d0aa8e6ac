"""Pages of runs: each costs the same, no matter where it starts."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from surrealdb import RecordID

from holdfast.storage.database import Database, open_database
from holdfast.storage.mirror.surreal import IDS, RUNS, UNFINISHED
from tests.support.surreal_server import PASSWORD, USERNAME, SurrealServer


@pytest.fixture(params=["embedded", "server"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """Each engine."""
    if request.param == "embedded":
        database = open_database("mem://")
        yield database
        await database.close()
        return
    with SurrealServer.find(tmp_path) as server:
        database = open_database(server.url, username=USERNAME, password=PASSWORD)
        yield database
        await database.close()


@pytest.mark.parametrize("statement", [RUNS, IDS], ids=["runs", "ids"])
async def test_a_page_of_runs_is_a_range_scan(database: Database, statement: str) -> None:
    """Each page of a listing reads only its own rows."""
    [plan] = await database.run(f"{statement} EXPLAIN", after="run 7", limit=10)
    text = json.dumps(plan, default=str)
    assert "TableScan" not in text
    assert "Iterate Table" not in text
    assert "Iterate Range" in text or "type::record" in text


async def test_unfinished_runs_are_found_by_an_index(database: Database) -> None:
    """Unfinished runs are found by an index."""
    values = {"open": ["running", "waiting"], "last": RecordID("run", "run 7")}
    [plan] = await database.run(f"{UNFINISHED} EXPLAIN", limit=10, **values)
    assert "run_status" in json.dumps(plan, default=str)
