"""Memory folders: each agent's own, the same on every machine, and nothing is lost or escapes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from holdfast import Agent, AgentDefinitionError
from holdfast.agents.catalog import AgentCatalog
from holdfast.errors import UsageError
from holdfast.storage.database import Database, open_database
from holdfast.storage.encryption import KeyRing, new_key
from holdfast.storage.memory_files import SurrealMemoryFiles
from holdfast.workspaces.memory_folders import KeptMemoryFolder, KeptMemoryFolders
from tests.support.surreal_server import PASSWORD, USERNAME, SurrealServer


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """A database on disk."""
    database = open_database(f"surrealkv://{tmp_path / 'db'}")
    yield database
    await database.close()


def machine(home: Path, database: Database | None, keys: KeyRing | None = None) -> KeptMemoryFolders:
    """The memory folders of a machine."""
    return KeptMemoryFolders(
        home / "memory", home / "records", None if database is None else SurrealMemoryFiles(database, keys)
    )


def folder(home: Path, database: Database | None, agent: str = "clerk") -> KeptMemoryFolder:
    """The folder `books` of an agent on a machine."""
    return machine(home, database).of(agent, "books")


async def test_another_machine_has_the_files(database: Database, tmp_path: Path) -> None:
    """What is written, edited and deleted on one machine is so on another, before its next call."""
    here, there = folder(tmp_path / "a", database), folder(tmp_path / "b", database)
    await here.write("customers.md", b"Meyer pays late.")
    await here.write("notes/a.md", b"A")
    assert await there.list() == [("customers.md", 16), ("notes/a.md", 1)]
    await there.edit("customers.md", "late", "in time")
    await there.delete("notes/a.md")
    assert await here.read("customers.md") == b"Meyer pays in time."
    assert (tmp_path / "a" / "memory" / "books" / "customers.md").read_text() == "Meyer pays in time."
    assert not (tmp_path / "a" / "memory" / "books" / "notes" / "a.md").exists()


async def test_files_of_a_person_are_part_of_it(database: Database, tmp_path: Path) -> None:
    """A file that a person puts into the folder, or changes there, is mirrored like the agent's own."""
    here, there = folder(tmp_path / "a", database), folder(tmp_path / "b", database)
    await here.write("a.md", b"one")
    place = tmp_path / "a" / "memory" / "books"
    (place / "a.md").write_text("changed by hand")
    (place / "given.md").write_text("given")
    await here.list()
    assert await there.list() == [("a.md", 15), ("given.md", 5)]


async def test_edits_at_the_same_time_are_all_there(database: Database, tmp_path: Path) -> None:
    """Edits of one file by concurrent runs on two machines are all made; of whole writes, one wins."""
    homes = [tmp_path / "a", tmp_path / "b"]
    lines = [f"line {number}." for number in range(8)]
    await folder(homes[0], database).write("a.md", "\n".join(lines).encode())
    edits = [
        folder(homes[number % 2], database).edit("a.md", f"line {number}.", f"edited {number}.") for number in range(8)
    ]
    await asyncio.gather(*edits)
    wanted = "\n".join(f"edited {number}." for number in range(8)).encode()
    assert [await folder(home, database).read("a.md") for home in homes] == [wanted, wanted]
    texts = [bytes([65 + number]) * 10_000 for number in range(8)]
    await asyncio.gather(*(folder(homes[n % 2], database).write("b.md", text) for n, text in enumerate(texts)))
    assert await folder(homes[0], database).read("b.md") in texts


@pytest.mark.parametrize("store", [True, False], ids=["elsewhere", "on this machine"])
async def test_two_agents_on_one_path_are_told(database: Database, tmp_path: Path, *, store: bool) -> None:
    """Another agent with the same path is told whose folder it is, and how to solve it."""
    shared = database if store else None
    await folder(tmp_path / "a", shared).write("a.md", b"of the clerk")
    other = folder(tmp_path / ("b" if store else "a"), shared, agent="thief")
    for use in (other.list(), other.read("a.md"), other.write("a.md", b"x"), other.delete("a.md")):
        with pytest.raises(UsageError, match=r"belongs to agent 'clerk': give agent 'thief' another memory_path"):
            await use
    assert await folder(tmp_path / "a", shared).read("a.md") == b"of the clerk"


def test_two_agents_of_one_worker_are_told() -> None:
    """A worker does not start with two agents on one path, and the name of a path is checked."""
    first, second = Agent(name="first", memory_path="books"), Agent(name="second", memory_path="books")
    with pytest.raises(AgentDefinitionError, match="'first' and 'second' have the same memory_path, 'books'"):
        AgentCatalog([first, second])
    for path in ("", "a/b", "..", ".hidden", "/etc", "x" * 65):
        with pytest.raises(AgentDefinitionError, match="memory_path"):
            Agent(name="third", memory_path=path)


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../x", "a/../../x", ".agent", "a\0b", "x" * 201, "."])
async def test_nothing_escapes(tmp_path: Path, name: str) -> None:
    """Only names below the folder are accepted, for every call."""
    memory = folder(tmp_path, None)
    for use in (memory.read(name), memory.write(name, b"x"), memory.edit(name, "a", "b"), memory.delete(name)):
        with pytest.raises(UsageError, match="is not accepted as a name"):
            await use


async def test_links_are_not_followed(database: Database, tmp_path: Path) -> None:
    """A link in the folder leads nowhere: what it points to is neither read, mirrored nor written."""
    memory = folder(tmp_path, database)
    await memory.write("a.md", b"a")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    place = tmp_path / "memory" / "books"
    (place / "link").symlink_to(outside)
    (place / "file").symlink_to(outside / "secret")
    assert await memory.list() == [("a.md", 1)]
    for name in ("link/secret", "file"):
        with pytest.raises(UsageError):
            await memory.read(name)
    with pytest.raises(UsageError):
        await memory.write("link/new", b"x")
    assert [path.name for path in outside.iterdir()] == ["secret"]


async def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    """What cannot be done is refused with what to do instead."""
    memory = folder(tmp_path, None)
    await memory.write("a.md", b"one two one")
    for work, said in (
        (memory.read("b.md"), "has no file 'b.md'; memory_list shows"),
        (memory.delete("b.md"), "has no file 'b.md'"),
        (memory.edit("a.md", "one", "x"), "must have the old text once, but not 2 times"),
        (memory.edit("a.md", "three", "x"), "but not 0 times"),
        (memory.edit("a.md", "", "x"), "as it is empty"),
        (memory.write("big", bytes(300_000)), "300,000 bytes; the maximum is 262,144"),
    ):
        with pytest.raises(UsageError, match=said):
            await work


async def test_cleared_is_gone_everywhere(database: Database, tmp_path: Path) -> None:
    """After `clear`, the files are gone on every machine, and another agent may have the path."""
    here, there = folder(tmp_path / "a", database), folder(tmp_path / "b", database)
    await here.write("a.md", b"a")
    assert await there.list() == [("a.md", 1)]
    store = SurrealMemoryFiles(database)
    assert [(each.path, each.agent, each.files, each.bytes) for each in await store.folders()] == [
        ("books", "clerk", 1, 1)
    ]
    await store.clear("books")
    machine(tmp_path / "a", database).remove("books")
    assert await store.folders() == []
    assert await there.list() == []
    await there.write("b.md", b"b")
    await store.clear("books")
    assert await folder(tmp_path / "b", database, agent="heir").list() == []


async def test_files_are_encrypted(database: Database, tmp_path: Path) -> None:
    """With a key, the database has nothing of a file in clear, and only the key reads it."""
    keys = KeyRing.parse(new_key())
    memory = machine(tmp_path / "a", database, keys).of("clerk", "books")
    await memory.write("a.md", b"secret " * 5)
    [rows] = await database.run("SELECT VALUE data FROM memory_file")
    assert b"secret" not in rows[0]
    assert await machine(tmp_path / "b", database, keys).of("clerk", "books").read("a.md") == b"secret " * 5


async def test_without_the_store_it_continues(tmp_path: Path) -> None:
    """While the store is unavailable, an agent works with the files of its machine; they are mirrored afterwards."""
    with SurrealServer.find(tmp_path) as server:
        database = open_database(server.url, username=USERNAME, password=PASSWORD)
        here, there = folder(tmp_path / "a", database), folder(tmp_path / "b", database)
        await here.write("a.md", b"one")
        server.kill()
        await here.write("a.md", b"two")
        await here.write("b.md", b"new")
        assert await here.read("a.md") == b"two"
        with pytest.raises(UsageError, match="cannot be deleted now"):
            await here.delete("a.md")
        server.start()
        await here.list()
        assert [await there.read(name) for name in ("a.md", "b.md")] == [b"two", b"new"]
        await database.close()
