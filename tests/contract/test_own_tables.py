"""Tables of a program's own, on every engine."""

from __future__ import annotations

import asyncio
import enum
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from holdfast import UsageError, get_surrealdb_client
from holdfast.composition.persistence import close_shared_persistence
from holdfast.storage.database import open_database
from holdfast.storage.mirror import SurrealStore
from holdfast.storage.own_tables import HOLDFASTS, MAX_DEPTH, MAX_ROW_CHARS, OwnTables
from tests.support.databases import Databases
from tests.support.tiers import slow

ROOT = Path(__file__).parents[2]
WRITERS = 8
OTHER_PROGRAM = """
import asyncio
from holdfast import get_surrealdb_client

async def main():
    async with get_surrealdb_client() as db:
        for number in range(5):
            await db.create(f"app_order:{number}", {"pieces": number})
        print(len(await db.select("app_order")), await db.query("SELECT VALUE pieces FROM app_order:⟨4⟩"))

asyncio.run(main())
"""


@pytest.fixture(params=["surrealkv", "ws", *slow("mem", "http")])
def db(request: pytest.FixtureRequest, databases: Databases) -> OwnTables:
    """A client of an empty database."""
    return OwnTables(databases.new(request.param))


async def test_rows_are_created_selected_changed_and_deleted(db: OwnTables) -> None:
    """Each call returns the row, whose id is the text that names it."""
    meyer = await db.create("customer:meyer", {"name": "Meyer", "pieces": 12})
    assert meyer == {"id": "customer:meyer", "name": "Meyer", "pieces": 12}
    assert await db.select("customer:meyer") == [meyer]
    assert await db.update("customer:meyer", {"pieces": 13, "since": 2020}) == meyer | {"pieces": 13, "since": 2020}
    assert await db.update(meyer["id"], {"since": None}) == meyer | {"pieces": 13}
    assert await db.upsert("customer:meyer", {"name": "Maier"}) == {"id": "customer:meyer", "name": "Maier"}
    other = await db.create("customer", {"name": "Schulz"})
    assert await db.select(other["id"]) == [other]
    assert len(await db.select("customer")) == 2
    assert len(await db.select("customer", limit=1)) == 1
    assert await db.delete("customer:meyer") is True
    assert await db.delete("customer:meyer") is False
    assert await db.select("customer") == [other]


async def test_what_does_not_exist_is_not_found(db: OwnTables) -> None:
    """A table without rows, and a row that does not exist, are no errors and are not created."""
    for target in ("customer", "customer:meyer"):
        assert await db.select(target) == []
    assert await db.update("customer:meyer", {"name": "Meyer"}) is None
    assert await db.delete("customer:meyer") is False
    await db.create("customer:schulz")
    assert await db.select("customer:meyer") == []
    assert await db.update("customer:meyer", {"name": "Meyer"}) is None
    assert await db.select("customer") == [{"id": "customer:schulz"}]


async def test_a_repeated_create_does_not_create_twice(db: OwnTables) -> None:
    """The same fields again are the same row; other fields are refused."""
    fields = {"name": "Meyer", "at": datetime(2026, 1, 2, 3, 4, 5, 600, UTC), "none": None, "deep": {"a": [None, {}]}}
    first = await db.create("customer:meyer", fields)
    assert await asyncio.gather(*(db.create("customer:meyer", fields) for _ in range(WRITERS))) == [first] * WRITERS
    with pytest.raises(UsageError, match=r"'customer:meyer' exists with other fields: `update` or `upsert`"):
        await db.create("customer:meyer", {"name": "Maier"})
    assert await db.select("customer") == [first]


@pytest.mark.parametrize(
    "value",
    [
        *(0, -(2**63), 2**63 - 1, 0.1 + 0.2, True, [1, "a", [True]], {"a b": {}}),
        *(
            "",
            "ğ 漢字 \U0001f600 '; DELETE customer; --",
            "customer:meyer",
            "NONE",
            "2025-01-01T00:00:00Z",
            "x" * 500_000,
        ),
        datetime(2026, 1, 2, 3, 4, 5, 600, UTC),
        datetime(2026, 1, 2, 3, 4, 5, 600, timezone(timedelta(hours=2))),
    ],
    ids=lambda value: str(value)[:20],
)
async def test_values_come_back_as_they_were(db: OwnTables, value: Any) -> None:
    """A field, and a key, are what was stored; text stays text, whatever it looks like."""
    await db.create("thing:one", {"value": value})
    [row] = await db.select("thing:one")
    assert (row["value"], type(row["value"])) == (value, type(value))
    if isinstance(value, str) and 0 < len(value) < 1000:
        assert await db.select((await db.create(f"thing:{value}"))["id"]) == [{"id": f"thing:{value}"}]


async def test_subclasses_of_plain_values_are_stored_as_those(db: OwnTables) -> None:
    """Members of enums and numbers of numpy are plain values afterwards; a tuple is a list."""

    class City(enum.StrEnum):
        KIEL = "Kiel"

    given = {"city": City.KIEL, "many": signal.SIGINT, "weight": np.float64(1.5), "both": (1, 2)}
    await db.create("app_order:one", given)
    [row] = await db.select("app_order:one")
    assert row == {"id": "app_order:one", "city": "Kiel", "many": 2, "weight": 1.5, "both": [1, 2]}
    assert [type(row[name]) for name in ("city", "many", "weight")] == [str, int, float]


async def test_queries_read_all_tables_and_write_none(db: OwnTables) -> None:
    """A query joins tables of both kinds, has values by name, and is refused if it writes."""
    for number in range(3):
        await db.create(f"app_order:{number}", {"pieces": number})
    statement = "SELECT id, pieces FROM app_order WHERE pieces >= $least ORDER BY pieces DESC"
    assert await db.query(statement, least=1) == [
        {"id": "app_order:2", "pieces": 2},
        {"id": "app_order:1", "pieces": 1},
    ]
    assert await db.query("RETURN 1; SELECT * FROM run") == []
    for written in ("DELETE app_order", "CREATE app_order", "DEFINE TABLE app_order", "UPDATE run SET a = 1"):
        with pytest.raises(UsageError, match="was refused: only statements that read"):
            await db.query(written)
    assert len(await db.select("app_order")) == 3


async def test_concurrent_changes_of_one_row_are_all_made(db: OwnTables) -> None:
    """Each writer's own field is in the row at the end."""
    await db.create("app_order:one")
    changes = [db.update("app_order:one", {f"by_{number}": number}) for number in range(WRITERS)]
    assert None not in await asyncio.gather(*changes)
    [row] = await db.select("app_order:one")
    assert row == {"id": "app_order:one"} | {f"by_{number}": number for number in range(WRITERS)}


@pytest.fixture
def local(databases: Databases) -> OwnTables:
    """A client of a database in memory."""
    return OwnTables(databases.new("mem"))


@pytest.mark.parametrize("table", [*sorted(HOLDFASTS), "Run", f"vector_{'0' * 32}_a"])
async def test_tables_of_holdfast_are_refused_by_name(local: OwnTables, table: str) -> None:
    """Nothing that this client does can change what agents have stored."""
    row = f"{table}:one"
    refused = (local.create(table), local.create(row, {}), local.upsert(row, {}), local.update(row, {}))
    for call in (*refused, local.delete(row), local.select(table)):
        with pytest.raises(UsageError, match=f"table '{table}' is one of Holdfast's: use another name"):
            await call


async def test_each_table_of_the_schema_is_known_by_name(databases: Databases) -> None:
    """The names are those of a server, which has the most tables; names that begin with `app_` stay free."""
    database = databases.new("ws")
    await SurrealStore(database).open()
    [info] = await database.run("INFO FOR DB")
    assert set(info["tables"]) == HOLDFASTS
    assert not [name for name in HOLDFASTS if name.startswith("app_")]


DEEP: list[Any] = []
for _ in range(MAX_DEPTH + 1):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("target", "fields", "reason"),
    [
        (None, {}, "named by text, as 'customer' or 'customer:meyer', not None"),
        ("", {}, "table '' is not accepted"),
        ("a b", {}, "table 'a b' is not accepted"),
        ("customer; DELETE run", {}, "is not accepted"),
        ("c" * 65, {}, "at most 64 characters"),
        ("customer:", {}, "its key has 0 characters"),
        ("customer:" + "k" * 1001, {}, "its key has 1001 characters"),
        ("customer:a\0", {}, "the key cannot be stored"),
        ("customer:one", [1], "the fields of a row are a dict, not list"),
        ("customer:one", {"id": "customer:two"}, "id='customer:two' is not the row"),
        ("customer:one", {"a": {"b": ["c", "\0"]}}, r"the row\.a\.b\[1\] cannot be stored"),
        ("customer:one", {"a": "\ud800"}, r"the row\.a cannot be stored"),
        ("customer:one", {"a": 2**63}, r"the row\.a cannot be stored"),
        ("customer:one", {"a": float("nan")}, r"the row\.a cannot be stored"),
        ("customer:one", {"a": datetime(2026, 1, 1)}, r"the row\.a cannot be stored"),  # noqa: DTZ001
        ("customer:one", {"a": object()}, r"the row\.a cannot be stored"),
        ("customer:one", {1: "a"}, "the row cannot be stored"),
        ("customer:one", {"a": DEEP}, "more than 50 levels"),
        ("customer:one", {"a": "x" * MAX_ROW_CHARS}, "at most 1,000,000 are accepted"),
    ],
)
async def test_what_cannot_be_stored_is_refused(local: OwnTables, target: Any, fields: Any, reason: str) -> None:
    """The error says what is wrong, and where."""
    with pytest.raises(UsageError, match=reason):
        await local.create(target, fields)


async def test_calls_that_need_a_row_or_a_limit_say_so(local: OwnTables) -> None:
    """A whole table is never changed at once, and an answer has a bound."""
    for call in (local.update("customer", {}), local.upsert("customer", {}), local.delete("customer")):
        with pytest.raises(UsageError, match="'customer' is a table: name a row of it, as 'customer:key'"):
            await call
    for limit in (0, 10_001, True, "7"):
        with pytest.raises(UsageError, match="1 to 10,000 rows"):
            await local.select("customer", limit=limit)  # type: ignore[arg-type]
    for statement in ("", None):
        with pytest.raises(UsageError, match="a query is text"):
            await local.query(statement)  # type: ignore[arg-type]


async def test_a_closed_client_is_not_used(local: OwnTables) -> None:
    """Closing ends this client alone; others of the same database continue."""
    other = OwnTables(local._shared)
    async with local as entered:
        await entered.create("customer:meyer")
    await local.close()
    for call in (local.select("customer"), local.create("customer"), local.query("RETURN 1")):
        with pytest.raises(UsageError, match=r"this client is closed: get another one from get_surrealdb_client"):
            await call
    assert len(await other.select("customer")) == 1


async def test_in_memory_there_is_no_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says which settings to change."""
    await close_shared_persistence()
    monkeypatch.setenv("STATE_PERSISTENCE_BACKEND", "memory")
    try:
        with pytest.raises(UsageError, match="set STATE_PERSISTENCE_BACKEND=surrealdb"):
            get_surrealdb_client()
    finally:
        await close_shared_persistence()


async def test_another_program_uses_the_database_that_a_worker_owns(tmp_path: Path) -> None:
    """Rows go through the process that has the files open, and stay when that ends."""
    url = f"surrealkv://{tmp_path}/data"
    owner = open_database(url, shared=True)
    await owner.open()
    environment = os.environ | {"SURREALDB_URL": url, "HOLDFAST_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}

    def program() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", OTHER_PROGRAM]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)

    done = await asyncio.to_thread(program)
    assert (done.stdout, done.stderr) == ("5 [4]\n", "")
    assert len(await OwnTables(owner).select("app_order")) == 5
    await owner.close()
    assert (await asyncio.to_thread(program)).stdout == "5 [4]\n"
