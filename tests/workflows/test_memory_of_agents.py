"""Agents with a memory folder: what one run writes, later runs find, on any machine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from holdfast import Agent, RunHandle
from holdfast.storage.database import Database, open_database
from holdfast.storage.memory_files import SurrealMemoryFiles
from holdfast.testing import ChatToolCall, Reply
from tests.support.lab import Lab

keeper = Agent(name="keeper", memory_path="keeper")


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """A database on disk, which all workers share."""
    database = open_database(f"surrealkv://{tmp_path / 'db'}")
    yield database
    await database.close()


def call(tool: str, **arguments: str) -> Reply:
    """A reply that asks for one call."""
    return Reply(tool_calls=[ChatToolCall(tool, arguments)])


async def results(run: RunHandle) -> list[str]:
    """What the tools have returned, oldest first."""
    return [message.content async for message in run.transcript() if message.role == "tool"]


async def test_later_runs_find_what_one_has_written(lab: Lab, database: Database, tmp_path: Path) -> None:
    """The model of a later run, served elsewhere, lists, reads, edits and deletes what the first one has written."""
    memories = SurrealMemoryFiles(database)
    lab.server.reply(call("memory_write", name="customers.md", content="Meyer pays late."))
    lab.server.reply(call("memory_write", name="old.md", content="old"))
    lab.server.say("Noted.")
    async with lab.worker(keeper, memory_files=memories):
        await lab.holdfast.run("keeper", "Note it.")
    offered = {tool["function"]["name"] for tool in lab.server.requests[0].body["tools"]}
    assert offered == {"memory_list", "memory_read", "memory_write", "memory_edit", "memory_delete"}
    lab.server.reply(call("memory_list"))
    lab.server.reply(call("memory_read", name="customers.md"))
    lab.server.reply(call("memory_edit", name="customers.md", old="late", new="in time"))
    lab.server.reply(call("memory_delete", name="old.md"))
    lab.server.reply(call("memory_read", name="../keeper/customers.md"))
    lab.server.say("Done.")
    async with lab.worker(keeper, memory_files=memories, home=tmp_path / "elsewhere"):
        run = await lab.holdfast.start("keeper", "Correct it.")
        await run.result(60)
        said = await results(run)
    assert said[:4] == [
        "customers.md (16 bytes)\nold.md (3 bytes)",
        "customers.md, 1 lines\n1\tMeyer pays late.",
        "edited customers.md",
        "deleted old.md",
    ]
    assert "is not accepted as a name" in said[4]
    assert (tmp_path / "elsewhere" / "memory" / "keeper" / "customers.md").read_text() == "Meyer pays in time."


async def test_an_agent_of_another_worker_on_the_same_path_is_told(lab: Lab, database: Database) -> None:
    """The model reads whose folder it is; the run continues."""
    memories = SurrealMemoryFiles(database)
    thief = Agent(name="thief", memory_path="keeper")
    lab.server.reply(call("memory_write", name="a.md", content="a"))
    lab.server.say("Noted.")
    async with lab.worker(keeper, memory_files=memories):
        await lab.holdfast.run("keeper", "Note it.")
    lab.server.reply(call("memory_list"))
    lab.server.say("I cannot.")
    async with lab.worker(thief, memory_files=memories):
        run = await lab.holdfast.start("thief", "List it.")
        assert (await run.result(60)).content == "I cannot."
        assert "belongs to agent 'keeper': give agent 'thief' another memory_path" in (await results(run))[0]
