"""Workspaces that are kept by content: other workers, forks and restored runs continue with the files as they were."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from surrealdb import RecordID

from holdfast import Agent, RunHandle, RunStatus, ToolContext, tool
from holdfast.ops.doctor.files import lost_files
from holdfast.ops.retention.pruning import Prunable, Pruner
from holdfast.storage.database import open_database
from holdfast.storage.files import SurrealFiles
from holdfast.storage.ledger import MemoryLedger
from holdfast.testing import ChatToolCall, Reply
from holdfast.trees import Tree
from holdfast.workspace_log import snapshots_in
from tests.support.lab import Lab, eventually
from tests.support.scouts import forkable
from tests.support.stored_files import trees_of


@tool
def write(name: str, text: str, context: ToolContext) -> str:
    """Writes a file."""
    path = context.workspace / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return f"wrote {name}"


@tool
def delete(name: str, context: ToolContext) -> str:
    """Deletes a file."""
    (context.workspace / name).unlink()
    return f"deleted {name}"


@tool(read_only=True)
def read(name: str, context: ToolContext) -> str:
    """Reads a file."""
    return (context.workspace / name).read_text()


@tool(read_only=True)
def names(context: ToolContext) -> str:
    """Lists all files."""
    found = sorted(str(path.relative_to(context.workspace)) for path in context.workspace.rglob("*"))
    return " ".join(found) or "nothing"


@tool
def stamp(word: str) -> str:
    """Does something that needs no files."""
    return word


keeper = Agent(name="keeper", tools=[write, delete, read, names, stamp])


@pytest.fixture
async def files(tmp_path: Path) -> AsyncIterator[SurrealFiles]:
    """The store of files, which all workers share."""
    database = open_database(f"surrealkv://{tmp_path / 'db'}")
    yield SurrealFiles(database)
    await database.close()


def calls(*wanted: tuple[str, dict[str, str]]) -> Reply:
    """A reply that asks for calls."""
    return Reply(tool_calls=[ChatToolCall(name, arguments) for name, arguments in wanted])


async def results(run: RunHandle) -> list[str]:
    """What the tools have returned, oldest first."""
    return [message.content async for message in run.transcript() if message.role == "tool"]


async def until_answered(run: RunHandle, text: str) -> None:
    """Waits until the session has answered this."""

    async def has_answered() -> bool:
        status = await run.status()
        return status.output == text and status.status == RunStatus.WAITING

    await eventually(has_answered)


async def test_another_worker_continues_with_the_files(lab: Lab, files: SurrealFiles, tmp_path: Path) -> None:
    """A worker elsewhere restores what a run has written, changed and deleted, before the next call."""
    lab.server.reply(calls(("write", {"name": "a/b.txt", "text": "old"}), ("write", {"name": "c.txt", "text": "c"})))
    lab.server.reply(calls(("write", {"name": "a/b.txt", "text": "new"}), ("delete", {"name": "c.txt"})))
    lab.server.say("Written.")
    async with lab.worker(keeper, files=files, ledger=MemoryLedger()):
        session = lab.holdfast.session("s-1", "keeper")
        await session.ask("Write.")
    lab.server.reply(calls(("names", {}), ("read", {"name": "a/b.txt"})))
    lab.server.reply(calls(("write", {"name": "d.txt", "text": "d"})))
    lab.server.say("Read.")
    async with lab.worker(keeper, files=files, ledger=MemoryLedger(), home=tmp_path / "elsewhere"):
        await session.ask("Read.")
        run = lab.holdfast.handle("s-1")
        assert (await results(run))[-3:-1] == ["a a/b.txt", "new"]
    lab.server.reply(calls(("names", {})))
    lab.server.say("Listed.")
    async with lab.worker(keeper, files=files):
        await session.ask("And now?")
        assert (await results(run))[-1] == "a a/b.txt d.txt", "the first worker has what the second one wrote"
        await lab.holdfast.handle(session.id).cancel()


async def test_calls_on_two_machines_at_the_same_time_lose_nothing(
    lab: Lab, files: SurrealFiles, tmp_path: Path
) -> None:
    """What calls of one turn write on two machines is all there in the next turn, on either of them."""
    queue = f"{lab.settings.temporal_task_queue}-elsewhere"

    @tool(task_queue=queue)
    def write_elsewhere(name: str, text: str, context: ToolContext) -> str:
        """Writes a file on another machine."""
        return write(name, text, context)

    @tool(task_queue=queue, read_only=True)
    def names_elsewhere(context: ToolContext) -> str:
        """Lists all files on another machine."""
        return names(context)

    agent = Agent(name="twofold", tools=[write, delete, names, write_elsewhere, names_elsewhere])
    lab.server.reply(calls(("write", {"name": "both", "text": "0"}), ("write", {"name": "old", "text": "0"})))
    here = [("write", {"name": "here", "text": "1"}), ("delete", {"name": "old"})]
    there = [("write_elsewhere", {"name": name, "text": "2"}) for name in ("there", "both")]
    lab.server.reply(calls(*here, *there))
    lab.server.reply(calls(("names", {}), ("names_elsewhere", {})))
    lab.server.say("Done.")
    settings = lab.settings.model_copy(update={"temporal_task_queue": queue})
    async with (
        lab.worker(agent, files=files),
        replace(lab, settings=settings).worker(agent, files=files, home=tmp_path / "elsewhere"),
    ):
        run = await lab.holdfast.start("twofold", "Write.")
        workspace = Path((await run.result(60)).run.workspace or "")
        assert (await results(run))[-2:] == ["both here there"] * 2
    assert (workspace / "both").read_text() == "2"


async def test_a_fork_has_the_files_as_of_its_point(lab: Lab, files: SurrealFiles, tmp_path: Path) -> None:
    """A fork begins with the files that the run had at the point, also on another machine; neither sees the other's."""
    for text in ("one", "two", "three"):
        lab.server.reply(calls(("write", {"name": "a.txt", "text": text}), ("write", {"name": text, "text": "x"})))
    lab.server.say("Written.")
    async with forkable(lab).worker(keeper, files=files):
        run = await lab.holdfast.start("keeper", "Write.")
        await run.result(60)
    lab.server.reply(calls(("read", {"name": "a.txt"}), ("names", {})))
    lab.server.say("Read.")
    async with lab.worker(keeper, files=files, home=tmp_path / "elsewhere"):
        fork = await run.fork(at=2)
        await fork.result(60)
    assert (await results(fork))[-2:] == ["two", "a.txt one two"]
    assert (lab.settings.holdfast_home / "workspaces" / run.id / "a.txt").read_text() == "three"


async def test_a_restored_run_has_the_files_as_of_the_checkpoint(lab: Lab, files: SurrealFiles) -> None:
    """A run that goes back finds the files as they were, without those that came later; also before the first one."""
    folder = lab.settings.holdfast_home / "workspaces" / "s-2"
    folder.mkdir(parents=True)
    (folder / "given.txt").write_text("given")
    session = lab.holdfast.session("s-2", "keeper")
    run = lab.holdfast.handle("s-2")
    async with lab.worker(keeper, files=files):
        lab.server.reply(calls(("stamp", {"word": "x"})))
        for text in ("one", "two"):
            lab.server.reply(
                calls(("write", {"name": "given.txt", "text": text}), ("write", {"name": text, "text": "x"}))
            )
        lab.server.say("Written.")
        await session.ask("Write.")
        for checkpoint, wanted in (
            ("turn-2", "given.txt one"),
            ("turn-3", "given.txt one two"),
            ("turn-1", "given.txt"),
        ):
            lab.server.reply(calls(("names", {})))
            lab.server.say(f"That is {checkpoint}.")
            await run.restore(checkpoint)
            await until_answered(run, f"That is {checkpoint}.")
            assert (await results(run))[-1] == wanted, checkpoint
        assert (folder / "given.txt").read_text() == "given"
        await lab.holdfast.handle(session.id).cancel()


async def test_a_child_on_another_machine_shares_the_files(lab: Lab, files: SurrealFiles, tmp_path: Path) -> None:
    """A child run elsewhere has the files of its parent, which then has what the child has changed."""
    queue = f"{lab.settings.temporal_task_queue}-elsewhere"

    @tool(task_queue=queue)
    def extend(name: str, context: ToolContext) -> str:
        """Appends to a file, on another machine."""
        path = context.workspace / name
        path.write_text(f"{path.read_text()} extended")
        return path.read_text()

    helper = Agent(name="helper", tools=[extend])
    parent = Agent(name="parent", tools=[write, read], agents=[helper])
    lab.server.reply(calls(("write", {"name": "a.txt", "text": "begun"})))
    lab.server.reply(calls(("ask_helper", {"input": "Extend a.txt."})))
    lab.server.reply(calls(("extend", {"name": "a.txt"})))
    lab.server.say("Extended.")
    lab.server.reply(calls(("read", {"name": "a.txt"})))
    lab.server.say("Done.")
    settings = lab.settings.model_copy(update={"temporal_task_queue": queue})
    async with (
        lab.worker(parent, helper, files=files),
        replace(lab, settings=settings).worker(helper, files=files, home=tmp_path / "elsewhere"),
    ):
        run = await lab.holdfast.start("parent", "Go.")
        await run.result(60)
        assert await results(run) == ["wrote a.txt", "Extended.", "begun extended"]


async def test_a_run_that_continues_as_new_knows_its_files(
    short_histories: Lab, files: SurrealFiles, tmp_path: Path
) -> None:
    """After continue-as-new, a worker elsewhere has the files of the executions before."""
    lab = short_histories
    for number in range(40):
        lab.server.reply(calls(("write", {"name": f"{number % 3}.txt", "text": str(number)})))
    lab.server.say("Written.")
    session = lab.holdfast.session("s-3", "keeper")
    async with lab.worker(keeper, files=files, max_cached_workflows=100):
        await session.ask("Write.")
    lab.server.reply(calls(("read", {"name": "0.txt"}), ("names", {})))
    lab.server.say("Read.")
    async with lab.worker(keeper, files=files, home=tmp_path / "elsewhere", max_cached_workflows=100):
        await session.ask("Read.")
        run = lab.holdfast.handle("s-3")
        assert (await results(run))[-2:] == ["39", "0.txt 1.txt 2.txt"]
        description = await lab.client.get_workflow_handle(run.id).describe()
        assert description.run_id != description.raw_description.workflow_execution_info.first_run_id
        await run.cancel()


async def test_lost_files_are_found_and_those_of_deleted_runs_released(
    lab: Lab, files: SurrealFiles, tmp_path: Path
) -> None:
    """The doctor names files that the store has lost, and a run that is pruned needs none any more."""
    lab.server.reply(calls(("write", {"name": "a.txt", "text": "a"}), ("write", {"name": "b.txt", "text": "b"})))
    lab.server.reply(calls(("write", {"name": "c.txt", "text": "c"})))
    lab.server.say("Written.")
    async with lab.worker(keeper, files=files):
        run = await lab.holdfast.start("keeper", "Go.")
        await run.result(60)
        await lab.assert_mirrored(run.id)
    assert await lost_files(lab.store, files, run.id) == ()
    database = files._database
    trees = await trees_of(database, run.id)
    names = Tree.decode(await files.get_tree(trees[0])).nodes["a.txt"].chunks
    await database.run("DELETE $rows", rows=[RecordID("file_chunk", name) for name in names])
    found = await lost_files(lab.store, SurrealFiles(database), run.id)
    assert {line.rpartition(": ")[2] for line in found} == {"a.txt"}
    mirrored = await lab.store.run(run.id)
    assert mirrored is not None
    assert await Pruner(lab.store, None, files=files).drop(Prunable(mirrored))
    assert await trees_of(database, run.id) == []


async def test_nothing_is_recorded_if_nothing_changed(lab: Lab, files: SurrealFiles) -> None:
    """A call that changes no file adds nothing to the run, and one that reads does not look."""
    lab.server.reply(calls(("stamp", {"word": "x"}), ("names", {})))
    lab.server.reply(calls(("write", {"name": "a", "text": "1"})))
    lab.server.reply(calls(("write", {"name": "a", "text": "1"}), ("names", {})))
    lab.server.say("Done.")
    async with lab.worker(keeper, files=files):
        run = await lab.holdfast.start("keeper", "Go.")
        await run.result(60)
        recorded = [len(snapshots_in(entry)) for entry in await lab.entries(run.id) if entry.kind == "tool_result"]
    assert recorded == [0, 0, 1, 0, 0]
    assert (await files.amount()).count == 3, "the file, its tree, and the list of chunks of the tree"
