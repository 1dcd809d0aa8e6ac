"""Read-only statements: they run as a user who may only read, so the database rejects all writes."""

from __future__ import annotations

import asyncio
import time

import pytest
from surrealdb import RecordID

from holdfast.errors import StoreUnavailable, UsageError
from holdfast.storage.database import Database, StatementFailed, read_only, snapshot_reader
from holdfast.storage.database.write_keywords import write_keyword
from holdfast.storage.mirror import SurrealStore
from holdfast.storage.mirror.sample import SampleRun
from tests.support.databases import Databases
from tests.support.tiers import patience, scaled

KINDS = ("mem", "surrealkv", "ws", "http")
WRITES = [
    "CREATE note:2",
    "create note:2",
    "SELECT * FROM (CREATE note:3)",
    "SELECT * FROM note; CREATE note:4",
    "RETURN { CREATE note:5; RETURN 1 }",
    "RETURN (CREATE note:6)",
    "RETURN [(CREATE note:7)]",
    "RETURN { a: CREATE note:8 }",
    "LET $x = CREATE note:9",
    "LET $x = /* a remark */ CREATE note:10",
    "-- a remark\nCREATE note:11",
    "IF true { CREATE note:12 }",
    "IF true THEN CREATE note:13 END",
    "FOR $i IN [1] { CREATE note:14 }",
    "CREATE ONLY note:15 RETURN 1",
    "CREATE |note:3|",
    "CREATE elsewhere:1",
    "CREATE $where",
    "CREATE 'note'",
    "UPDATE note SET x = 2",
    "UPSERT note:16",
    "INSERT INTO note {id: 17}",
    "RELATE note:1->likes->note:1",
    "DELETE note",
    "DEFINE TABLE other",
    "DEFINE USER x ON DATABASE PASSWORD 'a' ROLES OWNER",
    "DEFINE FUNCTION fn::more() { CREATE note:18 }",
    "REMOVE TABLE note",
    "ALTER TABLE note DROP COMMENT",
    "REBUILD INDEX x ON note",
    "USE NS other DB other",
    "BEGIN; CREATE note:19; COMMIT",
    "LIVE SELECT * FROM note",
    "KILL u'0189d6e3-8eac-703a-9a48-d9faa78b44b9'",
    "OPTION IMPORT",
    "RETURN sequence::nextval('s')",
]
READS = [
    ("SELECT x FROM note", [[{"x": 1}]]),
    ("LET $x = 1; RETURN $x + 1", [None, 2]),
    ("RETURN 'CREATE note:2'", ["CREATE note:2"]),
    ('RETURN "it\'s; CREATE note:2"', ["it's; CREATE note:2"]),
    ("RETURN 1 -- CREATE note:2", [1]),
    ("SELECT `delete`, x FROM note", [[{"delete": None, "x": 1}]]),
    ("SELECT x AS update FROM note", [[{"update": 1}]]),
    ("RETURN $given", ["; CREATE note:2"]),
]


@pytest.fixture(params=KINDS)
async def database(request: pytest.FixtureRequest, databases: Databases) -> Database:
    """A database with one row and a function that writes another."""
    database = databases.new(request.param)
    await database.run("DEFINE TABLE note")
    await database.run("CREATE note:1 SET x = 1")
    await database.run("DEFINE FUNCTION fn::write() { CREATE note:99; RETURN 1 }")
    return database


@pytest.fixture
def share(request: pytest.FixtureRequest) -> int:
    """Every how-many-th statement is tried: on files, each one starts a process."""
    return scaled(9, 1) if request.node.callspec.params["database"] == "surrealkv" else 1


async def state(database: Database) -> object:
    [rows] = await database.run("SELECT * FROM note")
    [information] = await database.run("INFO FOR DB")
    return rows, information["tables"], information["functions"], information["users"]


@pytest.mark.parametrize("statement", WRITES)
def test_write_is_named(statement: str) -> None:
    """A statement that writes is refused, and the word that writes is named."""
    with pytest.raises(UsageError, match="was refused: only statements that read"):
        read_only.check_reads(statement)


@pytest.mark.parametrize("statement", [statement for statement, _ in READS])
def test_read_is_not_taken_for_a_write(statement: str) -> None:
    """Fields and texts with such words in them are allowed."""
    assert write_keyword(statement) is None


async def test_writes_have_no_effect_though_nobody_sees_them(
    database: Database, share: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database itself keeps writes from taking effect."""
    await database.read("RETURN 1")
    before = await state(database)
    monkeypatch.setattr("holdfast.storage.database.database.check_reads", lambda _: None)
    attempts = (database.read(statement, where="note") for statement in [*WRITES[::share], "RETURN fn::write()"])
    for outcome in await asyncio.gather(*attempts, return_exceptions=True):
        assert isinstance(outcome, list | StatementFailed | UsageError), outcome
    assert await state(database) == before
    assert await database.run("CREATE note:100; RETURN session::db()")
    assert len((await database.run("SELECT * FROM note"))[0]) == 2


async def test_reads_read(database: Database, share: int) -> None:
    """Every statement that only reads works."""
    for statement, expected in READS[::share]:
        assert await database.read(statement, given="; CREATE note:2") == expected
    with pytest.raises(StatementFailed, match="Parse error"):
        await database.read("SELEC * FROM note")


async def test_reads_and_writes_do_not_get_in_each_others_way(database: Database) -> None:
    """Writes concurrent with a read take effect."""
    reads = [database.read("SELECT count() FROM note GROUP ALL") for _ in range(6)]
    writes = [database.run("CREATE $row", row=RecordID("note", f"n{number}")) for number in range(6)]
    answers = await asyncio.gather(*(call for pair in zip(reads, writes, strict=True) for call in pair))
    assert all(answer[0] for answer in answers)
    assert await database.read("RETURN count(SELECT 1 FROM note)") == [7]


async def test_answer_with_too_many_rows_is_refused(database: Database) -> None:
    """An answer with too many rows is refused."""
    with pytest.raises(UsageError, match=r"10001 rows.*LIMIT"):
        await database.read("RETURN array::range(0, 10001)")
    assert len((await database.read("RETURN array::range(0, 10000)"))[0]) == read_only.MOST_ROWS


@pytest.mark.parametrize("kind", ["mem", "surrealkv"])
async def test_runaway_read_is_stopped(kind: str, databases: Databases, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read that runs too long is stopped, and the mirror continues."""
    database = databases.new(kind)
    await database.open()
    monkeypatch.setattr(read_only, "EMBEDDED_DEADLINE", 0.3)
    monkeypatch.setattr(snapshot_reader, "READ_DEADLINE", 0.3)
    for statement in (
        "RETURN sleep(1h)",
        "SELECT VALUE array::len(array::range(0, 10000)) FROM array::range(0, 100000)",
    ):
        started = time.monotonic()
        read = asyncio.create_task(database.read(statement))
        await asyncio.sleep(0)
        write = asyncio.create_task(database.run("UPSERT note:1 SET x = 1"))
        with pytest.raises(UsageError, match=r"stopped after 0\.3 s"):
            await read
        assert await write != [[]]
        assert time.monotonic() - started < patience(3 if kind == "mem" else 20), "a process of its own has to start"


async def test_a_read_that_needs_too_much_memory_takes_nothing_along(databases: Databases) -> None:
    """Whatever a statement builds up, only the process of the read ends; an answer that is too large is refused."""
    database = databases.new("surrealkv")
    await database.run("CREATE note:1")
    for statement, words in (
        ("RETURN array::len(array::range(0, 1000000000))", "more than 512 MB of memory"),
        ("RETURN array::range(0, 9000).map(|$x| string::repeat('ten bytes!', 1000))", "at most 64 MB can be shown"),
    ):
        with pytest.raises(UsageError, match=words):
            await database.read(statement)
    await database.run("CREATE note:2")
    assert await database.read("SELECT VALUE id FROM note") == [[RecordID("note", 1), RecordID("note", 2)]]


async def test_dashboard_user_reads_every_table_and_writes_none(databases: Databases) -> None:
    """A read-only user reads every table, writes none, and is used as it is."""
    owner = databases.at("ws", "viewed")
    store, run = SurrealStore(owner), SampleRun(turns=2)
    await store.append(run.batch())
    await owner.run("DEFINE USER OVERWRITE dashboard ON DATABASE PASSWORD 'd' ROLES VIEWER DURATION FOR SESSION NONE")
    viewer = databases.at("ws", "viewed", user="dashboard", password="d")
    [information] = await owner.run("INFO FOR DB")
    assert {"run", "event", "message", "tool_call"} < set(information["tables"])
    for table in information["tables"]:
        rows, copy = f"SELECT * FROM {table}", await owner.run(f"SELECT * FROM {table}")
        assert await viewer.run(rows) == await viewer.read(rows) == copy
        for change in (f"DELETE {table}", f"UPDATE {table} SET x = 1", f"UPSERT {table}:new", f"CREATE {table}:new"):
            assert await viewer.run(change) == [[]]
            with pytest.raises(UsageError, match="was refused"):
                await viewer.read(change)
        with pytest.raises(StatementFailed, match="Not enough permissions"):
            await viewer.run(f"REMOVE TABLE {table}")
        assert await owner.run(rows) == copy


async def test_editor_is_told_that_it_cannot_be_kept_from_writing(databases: Databases) -> None:
    """A read that the database cannot make safe is refused with the reason."""
    owner = databases.at("ws", "edited")
    await owner.run("DEFINE USER OVERWRITE writer ON DATABASE PASSWORD 'w' ROLES EDITOR")
    editor = databases.at("ws", "edited", user="writer", password="w")
    with pytest.raises(UsageError, match=r"'writer'.*VIEWER or an OWNER"):
        await editor.read("RETURN 1")
    assert await owner.run("RETURN schema_version:try") != []
    assert (await owner.run("SELECT VALUE id FROM ONLY schema_version:try")) == [None]


async def test_no_user_is_left_behind(databases: Databases) -> None:
    """Reading leaves no user in the database."""
    database = databases.new("ws")
    for _ in range(2):
        assert await database.read("RETURN 1") == [1]
        await database.close()
    [information] = await database.run("INFO FOR DB")
    assert information["users"] == {}


async def test_reads_continue_after_a_restart_of_the_server(databases: Databases) -> None:
    """Reads work after a restart of the server."""
    database = databases.new("ws")
    assert await database.read("RETURN 1") == [1]
    databases.server.kill()
    with pytest.raises(StoreUnavailable):
        await database.read("RETURN 1")
    databases.server.start()
    assert await database.read("RETURN 2") == [2]
