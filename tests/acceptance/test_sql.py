"""The `sql` command: next to the process that owns the database, without one, and on a server."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from holdfast.cli.commands.sql import EXAMPLES
from holdfast.storage.database import Database, open_database
from holdfast.storage.mirror import SurrealStore
from holdfast.storage.mirror.sample import SampleRun
from tests.support.cli import CommandLine, Done
from tests.support.surreal_server import PASSWORD, USERNAME, SurrealServer

HOSTILE = "\x1b]0;owned\x07 \x1b[2Jred \x9b1m"


class Sql(CommandLine):
    """Runs `starter.py sql` without blocking the test's event loop."""

    async def ask(self, *words: str, stdin: bytes = b"") -> Done:
        """Runs `sql` with these arguments."""
        return await self.run("sql", *words, stdin=stdin)

    async def json(self, *words: str) -> Any:
        """Runs `sql --json` and returns its answers."""
        done = await self.ask(*words, "--json")
        assert done.code == 0, done.err
        return done.json


async def fill(database: Database) -> None:
    store = SurrealStore(database)
    for number in range(3):
        await store.append(SampleRun(turns=2, run_id=f"sample-{number}", text=HOSTILE).batch())


@pytest.fixture
def embedded(tmp_path: Path) -> Sql:
    return Sql({"HOLDFAST_HOME": str(tmp_path)})


@pytest.fixture
async def holder(tmp_path: Path) -> AsyncIterator[Database]:
    """This process, with the database open and three runs in it, as a worker has it."""
    database = open_database(f"surrealkv://{tmp_path}/surrealdb", shared=True)
    await fill(database)
    yield database
    await database.close()


async def test_asks_the_process_that_holds_the_database(embedded: Sql, holder: Database) -> None:
    """`sql` reads the database through the worker that has it open."""
    done = await embedded.ask("SELECT id, agent, turn FROM run ORDER BY id")
    assert done.code == 0, done.err
    assert done.out.splitlines() == [
        "id              agent   turn",
        *(f"run:⟨sample-{number}⟩  sample     2" for number in range(3)),
    ]
    assert done.err.startswith("3 rows in ")
    await holder.run("CREATE row:later")
    assert await embedded.json("SELECT * FROM row") == [[{"id": "row:later"}]]


async def test_asks_without_a_worker(embedded: Sql, holder: Database) -> None:
    """`sql` reads the database while the stack is down, and does not keep it from starting."""
    await holder.close()
    assert await embedded.json("RETURN count(SELECT 1 FROM run)") == [3]
    assert await holder.run("RETURN 1") == [1]


async def test_statements_values_and_standard_input(embedded: Sql, holder: Database) -> None:
    """`sql` takes several statements, values apart from them, and standard input."""
    text = (
        b"SELECT VALUE id FROM run WHERE turn = $turn AND agent = $agent ORDER BY id LIMIT 1; RETURN $turn; RETURN []"
    )
    done = await embedded.ask("--param", "turn=2", "--param", "agent=sample", stdin=text)
    assert done.code == 0, done.err
    assert done.out.splitlines() == ["run:⟨sample-0⟩", "", "2", ""]
    assert "no rows" in done.err
    assert (await embedded.ask("-", stdin=b"RETURN 7")).out == "7\n"


async def test_json_loses_nothing_and_neither_way_steers_the_terminal(embedded: Sql, holder: Database) -> None:
    """`--json` keeps values exact; neither output lets them control the terminal."""
    table = await embedded.ask("SELECT id, content FROM message", "--wide")
    document = await embedded.ask("SELECT VALUE content FROM message:['sample-0', 0]", "--json")
    for out in (table.out, document.out):
        assert not {"\x1b", "\x07", "\x9b"} & set(out)
    assert "red" in table.out
    assert json.loads(document.out) == [[HOSTILE]]


async def test_examples_of_the_help_work(embedded: Sql, holder: Database) -> None:
    """Every example in the help of `sql` runs."""
    commands = [line.strip().removeprefix("$ sql ") for line in EXAMPLES.splitlines() if "$ sql '" in line]
    assert len(commands) == 3
    for command in commands:
        done = await embedded.ask(*shlex.split(command.partition(" > ")[0]))
        assert done.code == 0, done.err


@dataclass(frozen=True)
class Refused:
    words: list[str]
    code: int
    says: str
    stdin: bytes = b""


REFUSED = {
    "a write": Refused(["CREATE row:1"], 2, "CREATE was refused"),
    "a hidden write": Refused(["RETURN { IF true { DELETE run } }"], 2, "DELETE was refused"),
    "a mistake": Refused(["SELEC 1"], 2, "[1:7]"),
    "no statement": Refused([], 2, "no statement: give one", b" \n"),
    "no text": Refused([], 2, "standard input is not UTF-8 text", b"\xff\xfe"),
    "a value without a name": Refused(["RETURN 1", "--param", "5"], 2, "write NAME=VALUE"),
    "a name that is taken": Refused(["RETURN 1", "--param", "statement=5"], 2, "write NAME=VALUE"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_refusals_say_why(name: str, embedded: Sql, holder: Database) -> None:
    """Statements that write or are malformed are refused with the reason."""
    refused = REFUSED[name]
    done = await embedded.ask(*refused.words, stdin=refused.stdin)
    assert (done.code, done.out) == (refused.code, ""), done.err
    assert refused.says in done.err
    assert await holder.run("RETURN count(SELECT 1 FROM run)") == [3]


@dataclass(frozen=True)
class Nowhere:
    settings: dict[str, str]
    code: int
    says: str


NOWHERE = {
    "in memory": Nowhere({"STATE_PERSISTENCE_BACKEND": "memory"}, 2, "STATE_PERSISTENCE_BACKEND=memory"),
    "the engine in memory": Nowhere({"SURREALDB_URL": "mem://"}, 2, "SURREALDB_URL=mem://"),
    "no database yet": Nowhere({}, 3, "there is no database at"),
    "no server": Nowhere({"SURREALDB_URL": "ws://127.0.0.1:9"}, 3, "127.0.0.1:9"),
}


@pytest.mark.parametrize("name", NOWHERE)
async def test_missing_database_is_reported(name: str, embedded: Sql, tmp_path: Path) -> None:
    """A missing database is reported and not created."""
    done = await Sql({**embedded.settings, **NOWHERE[name].settings}).ask("RETURN 1")
    assert done.code == NOWHERE[name].code
    assert NOWHERE[name].says in done.err
    assert not os.listdir(tmp_path)  # noqa: PTH208 - a blocking call of pathlib is refused here


async def test_asks_a_server(tmp_path: Path) -> None:
    """`sql` works with a SurrealDB server too."""
    with SurrealServer.find(tmp_path) as server:
        database = open_database(server.url, username=USERNAME, password=PASSWORD)
        await fill(database)
        sql = Sql({"SURREALDB_URL": server.url, "SURREALDB_USERNAME": USERNAME, "SURREALDB_PASSWORD": PASSWORD})
        assert await sql.json("SELECT id, turn FROM run ORDER BY id LIMIT 1") == [[{"id": "run:⟨sample-0⟩", "turn": 2}]]
        refused = await sql.ask("DELETE run")
        assert (refused.code, "DELETE was refused" in refused.err) == (2, True)
        assert await database.run("RETURN count(SELECT 1 FROM run)") == [3]
        await database.close()
