"""Forks: runs that begin with the log of another run, whatever becomes of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest

from holdfast import Agent, AgentResult, RunHandle, TextDelta, ToolContext, tool
from holdfast.activities import workspace_copy
from holdfast.client.holdfast import Holdfast
from holdfast.errors import ErrorType, MirrorDamaged, RunExists, RunNotFound, UsageError
from holdfast.forking import NOT_RUN
from holdfast.ops.doctor import Verdict, Verifier
from holdfast.ops.transfer.runs import RunLoader
from holdfast.storage.mirror import MemoryStore, SurrealStore, open_store
from holdfast.storage.mirror.json_text import entry_text
from holdfast.temporal.run_log import TemporalRunLog
from holdfast.testing import ChatToolCall, Reply
from holdfast.types import Entry, EntryBatch, RunId, RunStatus, RunSummary
from holdfast.workflows.run.log import Log
from tests.support.dump import dump
from tests.support.lab import Lab, eventually
from tests.support.many_turns import walk, walker
from tests.support.short_histories import QUICK_DELETION, configured_server
from tests.support.switched_store import SwitchedStore
from tests.support.tiers import scaled


@tool(read_only=True)
async def look(place: str) -> str:
    """Looks at a place."""
    return f"{place}: nothing"


@tool
async def write(name: str, context: ToolContext) -> str:
    """Writes a file."""
    context.workspace.mkdir(parents=True, exist_ok=True)
    (context.workspace / name).write_text(f"by {context.run_id}")
    return name


@tool(read_only=True)
async def read(name: str, context: ToolContext) -> str:
    """Reads a file."""
    return (context.workspace / name).read_text()


scout = Agent(name="scout", system_prompt="You scout.", tools=[look], max_turns=5)
writer = Agent(name="writer", system_prompt="You write.", tools=[write, read])


@pytest.fixture
async def forgetful(tmp_path: Path) -> AsyncIterator[Lab]:
    """A lab whose Temporal server deletes runs at once."""
    async with configured_server(tmp_path, *QUICK_DELETION) as address, Lab.open(address, tmp_path) as lab:
        yield lab


def forkable(lab: Lab) -> Lab:
    """The lab, whose client reads its mirror, as that of a program does."""
    lab.holdfast = Holdfast(lab.client, task_queue=lab.settings.temporal_task_queue, mirror=lambda: lab.store)
    return lab


def scouting(answer: str = "Nothing there.") -> list[Reply]:
    """Two turns that look, then the answer."""
    return [
        Reply(text="First.", tool_calls=[ChatToolCall("look", {"place": "north"}, id="call_n")]),
        Reply(tool_calls=[ChatToolCall("look", {"place": "south"}, id="call_s")]),
        Reply(text=answer),
    ]


async def scouted(lab: Lab) -> RunHandle:
    """An ended run of three turns."""
    for reply in scouting():
        lab.server.reply(reply)
    run = await lab.holdfast.start("scout", "Scout the area.", tags={"team": "a"})
    await run.result()
    await lab.assert_mirrored(run.id)
    return run


async def gone(lab: Lab, run_id: RunId) -> None:
    """Has Temporal delete a run, as it does when its retention has passed."""
    await lab.client.workflow_service.delete_workflow_execution(
        DeleteWorkflowExecutionRequest(
            namespace=lab.client.namespace, workflow_execution=WorkflowExecution(workflow_id=run_id)
        )
    )

    async def is_gone() -> bool:
        try:
            await lab.holdfast.handle(run_id).ended()
        except RunNotFound:
            return True
        return False

    await eventually(is_gone)


def file_of(result: AgentResult) -> Path:
    """The file that a run has written."""
    assert result.run.workspace is not None
    return Path(result.run.workspace, "a.txt")


async def why_refused(run: RunHandle) -> str:
    """Why a run could not start."""
    refused = (await run.result(30)).run
    assert refused.error is not None
    assert refused.error.type == ErrorType.INVALID_REQUEST
    return refused.error.message


def sent(lab: Lab) -> list[tuple[str, str]]:
    """What the newest request shows the model."""
    return [(message["role"], message["content"] or "") for message in lab.server.requests[-1].messages]


async def test_a_fork_continues_from_a_turn_of_an_ended_run(lab: Lab) -> None:
    """It copies the log up to the turn under the same numbers, and counts what it uses from 0."""
    async with forkable(lab).worker(scout):
        run = await scouted(lab)
        lab.server.say("There is a hut.")
        fork = await run.fork(at=2, message="Look again.", tool_results={"call_s": "south: a hut"})
        result = await fork.result(30)
        assert result.content == "There is a hut."
        assert sent(lab) == [
            ("system", "You scout."),
            ("user", "Scout the area."),
            ("assistant", "First."),
            ("tool", "north: nothing"),
            ("assistant", ""),
            ("tool", "south: a hut"),
            ("user", "Look again."),
        ]
        assert (result.run.turns, result.run.tool_calls, result.run.usage.requests) == (3, 0, 1)
        old, new = await lab.entries(run.id), await lab.entries(fork.id)
        assert [(e.seq, e.at, e.kind, e.turn) for e in new[1:7]] == [(e.seq, e.at, e.kind, e.turn) for e in old[1:7]]
        assert [e.data for e in new[1:6]] == [e.data for e in old[1:6]]
        assert new[0].data["forked"] == {"run": run.id, "seq": 6, "digest": old[6].digest, "turn": 2}
        assert new[0].data["request"]["tags"] == {"team": "a"}
        await lab.assert_mirrored(fork.id)
        status = await fork.status()
        assert status.forked is not None
        assert (status.forked.run, status.max_turns) == (run.id, 7)
        assert (await fork.listed()).forked == run.id
        assert await lab.entries(run.id) == old, "the origin is as it was"


async def test_another_prompt_and_model(lab: Lab) -> None:
    """A fork at turn 0 begins with the input, and with the prompt and model that it names."""
    async with forkable(lab).worker(scout):
        run = await scouted(lab)
        lab.server.say("I would rather not.")
        fork = await run.fork(at="turn-0", system_prompt="You refuse.", model="other-model", id="refuser")
        assert (await fork.result(30)).content == "I would rather not."
        assert sent(lab) == [("system", "You refuse."), ("user", "Scout the area.")]
        assert lab.server.requests[-1].body["model"] == "other-model"
        [start, *_] = await lab.entries("refuser")
        assert start.data["agent"]["system_prompt"] == "You refuse."


async def test_the_cut_leaves_no_call_open(lab: Lab) -> None:
    """A fork between a call and its result answers the call, which is not made; the next fork may answer otherwise."""
    async with forkable(lab).worker(scout):
        run = await scouted(lab)
        lab.server.say("So be it.")
        fork = await run.fork(at="message-2", message="Why?")
        assert (await fork.result(30)).content == "So be it."
        assert sent(lab)[-3:] == [("assistant", "First."), ("tool", f"error: {NOT_RUN}"), ("user", "Why?")]
        lab.server.say("A lake.")
        again = await fork.fork(at=1, tool_results={"1/call_n": "north: a lake"})
        assert (await again.result(30)).content == "A lake."
        assert sent(lab)[-1] == ("tool", "north: a lake")


async def test_a_live_run_is_forked_beyond_its_mirror(lab: Lab) -> None:
    """A fork of a run in mid-turn has everything that was recorded, though the mirror lags behind."""
    north, south, _ = scouting()
    async with forkable(lab).worker(scout):
        for reply in (north, south, Reply(hang=True)):
            lab.server.reply(reply)
        run = await lab.holdfast.start("scout", "Scout the area.")
        await lab.server.wait_for_requests(3)
        await lab.store.delete(run.id)
        lab.server.say("Enough.")
        fork = await run.fork(message="Hurry.")
        assert (await fork.result(30)).content == "Enough."
        assert sent(lab)[-2:] == [("tool", "south: nothing"), ("user", "Hurry.")]
        assert await run.ended() is None
        await run.terminate("the test is over")
        await lab.server.wait_disconnected(2)


async def test_fork_after_retention(forgetful: Lab) -> None:
    """A run that Temporal has deleted is forked from the mirror, and the fork needs neither afterwards."""
    lab = forgetful
    async with forkable(lab).worker(scout):
        run = await scouted(lab)
        await gone(lab, run.id)
        lab.server.say("Still nothing.")
        fork = await run.fork(at=1)
        assert (await fork.result(30)).content == "Still nothing."
        assert sent(lab)[-1] == ("tool", "north: nothing")
        await lab.assert_mirrored(fork.id)
        assert (await Verifier(lab.store, TemporalRunLog(lab.client)).verify(fork.id)).verdict == Verdict.HEALTHY
        await lab.store.delete(run.id)
        with pytest.raises(RunNotFound, match="neither Temporal nor the mirror has it"):
            await run.fork(at=1)


async def test_fork_of_fork(lab: Lab) -> None:
    """A fork of a fork copies the edits of the first, and names it as its origin."""
    async with forkable(lab).worker(scout):
        run = await scouted(lab)
        lab.server.say("A hut.")
        first = await run.fork(at=2, message="Look again.", tool_results={"call_s": "south: a hut"})
        await first.result(30)
        lab.server.say("It is red.")
        second = await first.fork(message="Which color?", system_prompt="You paint.")
        assert (await second.result(30)).content == "It is red."
        shown = sent(lab)
        assert (shown[0], shown[5:]) == (
            ("system", "You paint."),
            [("tool", "south: a hut"), ("user", "Look again."), ("assistant", "A hut."), ("user", "Which color?")],
        )
        status = await second.status()
        assert status.forked is not None
        assert (status.forked.run, status.forked.turn, status.turn) == (first.id, 3, 4)
        assert status.max_turns == 8
        await lab.store.delete(run.id)
        lab.server.say("It is still red.")
        third = await second.fork(at=2)
        assert (await third.result(30)).content == "It is still red."
        assert sent(lab)[0] == ("system", "You paint.")
        await lab.assert_mirrored(third.id)


def altered(entry: Entry, **changes: object) -> Entry:
    """An entry with another content, as someone who edits the database leaves it."""
    message = {**entry.data["message"], "content": "south: a palace"}
    return entry.model_copy(update={"data": {**entry.data, "message": message}, **changes})


async def alter(lab: Lab, run_id: RunId, *, edited: bool = True) -> None:
    """Edits entry 6 of a mirror, or removes it."""
    assert isinstance(lab.store, MemoryStore)
    entries = await lab.store.entries(run_id)
    entries[6:7] = [altered(entries[6])] if edited else []
    lab.store._runs[run_id].texts[:] = [entry_text(entry) for entry in entries]


@pytest.mark.parametrize("edited", [True, False], ids=["edited", "removed"])
async def test_altered_prefix_refused(lab: Lab, edited: bool) -> None:
    """A mirror in which a row was edited or removed is not copied."""
    async with forkable(lab).worker(scout):
        run = await scouted(lab)
        await alter(lab, run.id, edited=edited)
        with pytest.raises(MirrorDamaged, match=r"entry 6 in the mirror .* `doctor rebuild"):
            await run.fork(at=2)
        queue, point = lab.settings.temporal_task_queue, {"run": run.id, "at": "2"}
        by_hand = {"agent": "scout", "input": "And?", "fork": point}  # which only the worker checks
        await lab.client.start_workflow("AgentRun", by_hand, id=f"{run.id}-no", task_queue=queue)
        refused = await lab.holdfast.handle(f"{run.id}-no").result(30)
        assert refused.run.error is not None
        assert "this run cannot start: entry 6 in the mirror" in refused.run.error.message
        assert len(lab.server.requests) == 3


async def test_altered_prefix_refused_after_retention(forgetful: Lab) -> None:
    """Without a history, the digests alone decide."""
    lab = forgetful
    async with forkable(lab).worker(scout):
        run = await scouted(lab)
        await alter(lab, run.id)
        await gone(lab, run.id)
        with pytest.raises(MirrorDamaged, match="was altered"):
            await run.fork(at=3, message="Go on.")


async def test_a_mirror_whose_digests_were_made_anew_is_not_believed(lab: Lab) -> None:
    """If the mirror's digests are right but lead elsewhere than Temporal's history, the history is copied."""
    async with forkable(lab).worker(scout):
        run = await scouted(lab)
        [batch] = [batch async for batch in TemporalRunLog(lab.client).batches(run.id)]
        batch.entries[6] = altered(batch.entries[6])
        previous = batch.entries[5].digest
        for place in range(6, len(batch.entries)):
            entry = batch.entries[place]
            batch.entries[place] = Entry.chained(
                previous, seq=entry.seq, at=entry.at, kind=entry.kind, turn=entry.turn, data=entry.data
            )
            previous = batch.entries[place].digest
        await lab.store.delete(run.id)
        await lab.store.append(batch)
        lab.server.say("Nothing at all.")
        fork = await run.fork(at=2)
        assert (await fork.result(30)).content == "Nothing at all."
        assert sent(lab)[-1] == ("tool", "south: nothing")


async def test_a_prefix_that_changes_between_client_and_worker_is_refused(lab: Lab) -> None:
    """The worker copies only the entries whose digest the client has seen."""
    async with forkable(lab).worker(scout):
        run = await scouted(lab)
        point = {"run": run.id, "seq": 6, "digest": "0" * 64, "message": "Go on."}
        refused = await lab.holdfast._starter.start({"agent": "scout", "input": "x", "fork": point}, "refused")
        ended = await lab.holdfast.handle(refused).result(30)
        assert ended.run.error is not None
        assert "has another digest than the one to fork" in ended.run.error.message


async def test_parent_pruned(forgetful: Lab) -> None:
    """A fork outlives its origin: it continues, and its mirror is right, when the origin is gone everywhere."""
    lab = forgetful
    north, *_ = scouting()
    store = open_store("mem://")
    try:
        lab.store = store
        async with forkable(lab).worker(scout, store=store):
            run = await scouted(lab)
            lab.server.hold()
            lab.server.reply(north)
            lab.server.say("I made it.")
            fork = await run.fork(at=2)
            await lab.server.wait_for_requests(4)
            await gone(lab, run.id)
            await store.delete(run.id)
            lab.server.release()
            assert (await fork.result(60)).content == "I made it."
            await lab.assert_mirrored(fork.id)
            verdict = await Verifier(store, TemporalRunLog(lab.client)).verify(fork.id)
            assert verdict.verdict == Verdict.HEALTHY, verdict
            summary = await store.summary(fork.id)
            assert summary is not None
            assert summary.forked is not None
            assert summary.forked.run == run.id
    finally:
        await store.close()


async def test_what_cannot_be_forked_is_refused_at_once(lab: Lab) -> None:
    """Wrong arguments start nothing, and the message says what there is."""
    wrong: list[tuple[str | int | None, dict[str, Any], str]] = [
        (9, {}, "has no point '9': it has the turns 0 to 3"),
        ("message-77", {}, "the messages 0 to 6"),
        ("yesterday", {}, "has no checkpoint 'yesterday': it has turn-1 to turn-3"),
        (None, {}, "the fork would end at once"),
        (3, {"message": " "}, "the message must be text that is not empty"),
        (1, {"tool_results": {"call_s": "x"}}, "the calls with a result are 1/call_n (look)"),
        ("message-0", {}, "the point is before the input"),
        (1, {"max_turns": 0}, "max_turns=0"),
        (1, {"id": "no spaces"}, "the run id 'no spaces' is not accepted"),
    ]
    async with forkable(lab).worker(scout):
        run = await scouted(lab)
        for at, options, said in wrong:
            with pytest.raises(UsageError) as caught:
                await run.fork(at, **options)
            assert said in str(caught.value)
        with pytest.raises(RunExists):
            await run.fork(1, id=run.id)
        with pytest.raises(RunNotFound):
            await lab.holdfast.handle("no-such-run").fork(1)
        assert len(lab.server.requests) == 3


async def test_a_fork_is_started_with_plain_json(lab: Lab) -> None:
    """Temporal's UI and command line start a fork with the name of an agent, a run and a point."""
    async with forkable(lab).worker(scout):
        run = await scouted(lab)
        lab.server.say("Nothing.")
        queue, wanted = lab.settings.temporal_task_queue, {"run": run.id, "at": "2", "message": "And?"}
        by_hand = {"agent": "scout", "input": "And?", "fork": wanted}
        result = await lab.client.execute_workflow("AgentRun", by_hand, id=f"{run.id}-and", task_queue=queue)
        assert result["output"] == "Nothing."
        assert sent(lab)[-1] == ("user", "And?")
        wrong = {**by_hand, "fork": {**wanted, "at": "40"}}
        ended = await lab.client.start_workflow("AgentRun", wrong, id=f"{run.id}-no", task_queue=queue)
        refused = await lab.holdfast.handle(ended.id).result(30)
        assert refused.run.error is not None
        assert "has no point '40'" in refused.run.error.message


async def test_a_fork_has_a_workspace_of_its_own(lab: Lab) -> None:
    """It is a copy of its origin's; what either writes, the other does not see."""
    async with forkable(lab).worker(writer):
        lab.server.call_tools(("write", {"name": "a.txt"}))
        lab.server.say("Written.")
        run = await lab.holdfast.start("writer", "Write a.txt.")
        original = file_of(await run.result())
        lab.server.call_tools(("read", {"name": "a.txt"}))
        lab.server.call_tools(("write", {"name": "a.txt"}))
        lab.server.say("Read.")
        fork = await run.fork(message="Read a.txt.")
        copied = file_of(await fork.result(30))
        assert f"by {run.id}" in [message.content async for message in fork.transcript()]
        assert (copied.read_text(), original.read_text()) == (f"by {fork.id}", f"by {run.id}")
        assert list(copied.parent.parent.glob(".*")) == []


async def test_a_workspace_that_is_not_there_or_too_large_is_not_copied(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fork fails with a message that says how to start it, and starts with a folder that it names."""
    project = tmp_path / "project"
    project.mkdir()
    for name in ("a.txt", "b.txt", "c.txt"):
        (project / name).write_text(name)
    async with forkable(lab).worker(writer):
        lab.server.say("Hello.")
        run = await lab.holdfast.start("writer", "Hi.", workspace=project)
        await run.result()
        monkeypatch.setattr(workspace_copy.WorkspaceCopier.__init__, "__kwdefaults__", {"max_bytes": 7, "max_files": 9})
        assert "has more than 7 bytes" in await why_refused(await run.fork(0))
        project.rename(tmp_path / "moved")
        assert "is not on this worker's machine: name a folder" in await why_refused(await run.fork(0))
        lab.server.say("Hello again.")
        fork = await run.fork(0, workspace=tmp_path / "moved")
        assert (await fork.result(30)).run.workspace == str(tmp_path / "moved")


async def test_a_fork_continues_as_new(short_histories: Lab) -> None:
    """A fork of a run of several executions continues as new, too, and its log stays whole."""
    lab = forkable(short_histories)
    lab.server.respond = walk(60)
    async with lab.worker(walker, max_cached_workflows=100):
        first = await lab.holdfast.run("walker", "Walk.", timeout=300)
        lab.server.respond = walk(101)
        fork = await lab.holdfast.handle(first.run_id).fork(at=50, max_turns=60, tags={})
        result = await fork.result(100)
        assert (result.content, result.run.turns, result.usage.requests) == ("walked 100 steps", 101, 51)
        description = await lab.client.get_workflow_handle(fork.id).describe()
        assert description.run_id != description.raw_description.workflow_execution_info.first_run_id
        await lab.assert_mirrored(fork.id)
        status = await fork.status()
        assert status.forked is not None
        assert (status.forked.turn, status.max_turns) == (50, 110)
        messages = [message async for message in fork.transcript()]
        assert [message.seq for message in messages] == list(range(203))


async def test_the_limit_of_turns_is_the_forks_own(lab: Lab) -> None:
    """Turns that were copied do not count."""
    async with forkable(lab).worker(scout):
        run = await scouted(lab)
        for reply in scouting()[:2]:
            lab.server.reply(reply)
        fork = await run.fork(at=2, max_turns=2)
        result = (await fork.result(30)).run
        assert result.error is not None
        assert (result.turns, result.error.type) == (4, "MaxTurnsExceeded")


def large_log(entries: int, size: int) -> EntryBatch:
    """The log of an ended run that has many bytes."""
    log, now = Log(), datetime.now(UTC)
    log.append("start", at=now, turn=0, data={"agent": scout.spec().model_dump(mode="json"), "request": {}})
    for seq in range(entries):
        role = "system" if seq == 0 else "user"
        message = {"seq": seq, "role": role, "content": f"{seq} " * (size // len(f"{seq} "))}
        log.append("message", at=now, turn=0, data={"message": message})
    summary = RunSummary(run_id=f"large-{entries}", agent="scout", status=RunStatus.COMPLETED, started_at=now)
    return EntryBatch(
        run_id=summary.run_id, chain="a chain", previous_digest="", entries=log.after(-1), summary=summary
    )


async def test_a_large_log_is_copied_in_pages(lab: Lab) -> None:
    """A log of megabytes becomes the fork's own, within Temporal's limits; more than is possible is refused."""
    async with forkable(lab).worker(scout, max_cached_workflows=100):
        batch = large_log(scaled(20, 60), 250_000)
        await lab.store.append(batch)
        lab.server.say("So much.")
        fork = await lab.holdfast.handle(batch.run_id).fork()
        assert (await fork.result(60)).content == "So much."
        await lab.assert_mirrored(fork.id)
        log = await lab.entries(fork.id)
        assert [entry.data for entry in log[2 : len(batch.entries)]] == [entry.data for entry in batch.entries[2:]]
        beyond = large_log(70, 250_000)
        await lab.store.append(beyond)
        with pytest.raises(UsageError, match="but a fork copies at most 16,000,000: fork at an earlier turn"):
            await lab.holdfast.handle(beyond.run_id).fork()


async def test_the_store_is_unavailable(lab: Lab) -> None:
    """The history is copied instead; without one, the fork waits for the store."""
    store = SwitchedStore(on=True)
    lab.store = store
    async with forkable(lab).worker(scout, store=store):
        run = await scouted(lab)
        store.on = False
        lab.server.hold()
        lab.server.say("All the same.")
        fork = await run.fork(at=2)
        await lab.server.wait_for_requests(4)
        store.on = True
        lab.server.release()
        assert (await fork.result(30)).content == "All the same."
        await lab.assert_mirrored(fork.id)


async def test_a_cancelled_run_continues_as_a_fork(lab: Lab) -> None:
    """What the model had begun to say is left out, and it is called again."""
    north, *_ = scouting()
    async with forkable(lab).worker(scout):
        lab.server.reply(north)
        lab.server.reply(Reply(text="one two three four five six seven", hang_after=1))
        run = await lab.holdfast.start("scout", "Scout the area.")
        async for event in run.events():
            if isinstance(event, TextDelta) and event.turn == 2:
                await run.cancel()
        await lab.assert_mirrored(run.id)
        lab.server.say("Nothing.")
        fork = await run.fork()
        assert (await fork.result(30)).content == "Nothing."
        assert sent(lab)[-1] == ("tool", "north: nothing")


async def test_a_fork_of_a_session_waits_for_the_next_message(lab: Lab) -> None:
    """It begins with everything that was said; what is sent to the one does not reach the other."""
    lab.server.respond = lambda request: Reply(text=f"heard {len(request.messages) - 1}")
    async with forkable(lab).worker(scout):
        wanted = {"agent": "scout", "input": "Hello.", "session": True}
        await lab.holdfast._starter.start(wanted, "a-session")
        session = lab.holdfast.handle("a-session")

        async def waits(run: RunHandle, messages: int) -> bool:
            said = [message async for message in run.transcript()]
            return len(said) == messages and (await run.status()).status == RunStatus.WAITING

        await eventually(lambda: waits(session, 3))
        fork = await session.fork()
        await eventually(lambda: waits(fork, 3))
        await fork.send("And?")
        await eventually(lambda: waits(fork, 5))
        assert sent(lab)[1:] == [("user", "Hello."), ("assistant", "heard 1"), ("user", "And?")]
        assert len([message async for message in session.transcript()]) == 3
        other = await session.fork(message="Or?")
        await eventually(lambda: waits(other, 5))
        for run in (session, fork, other):
            await run.cancel()
            await run.result(30)


async def test_the_worker_is_replaced_while_a_fork_begins(lab: Lab) -> None:
    """A fork that no worker has begun, or whose worker is gone, begins on the next one."""
    async with forkable(lab).worker(scout):
        run = await scouted(lab)
    fork = await run.fork(at=2)
    lab.server.hold()
    lab.server.say("Here I am.")
    async with lab.worker(scout):
        await lab.server.wait_for_requests(4)
        lab.server.release()
    async with lab.worker(scout):
        assert (await fork.result(60)).content == "Here I am."
        await lab.assert_mirrored(fork.id)


async def test_a_fork_is_exported_and_imported(lab: Lab, tmp_path: Path) -> None:
    """The bundle has the fork with its origin's id; another mirror shows the edge when it has both."""
    store = lab.store = open_store("mem://")
    other = open_store(f"surrealkv://{tmp_path / 'other'}")
    try:
        async with forkable(lab).worker(scout, store=store):
            run = await scouted(lab)
            lab.server.say("A hut.")
            fork = await run.fork(at=2, message="Look again.")
            await fork.result(30)
            await lab.assert_mirrored(fork.id)
        for name in (fork.id, run.id):
            mirrored = await store.run(name)
            assert mirrored is not None
            loader = RunLoader(other)
            await loader.begin(mirrored)
            for entry in await store.entries(name):
                await loader.add(entry)
            assert loader.tally.written == 1
        assert isinstance(other, SurrealStore)
        [edge] = (await dump(other._database))["forked"]
        assert (edge["in"], edge["out"], edge["seq"]) == (f'run:"{run.id}"', f'run:"{fork.id}"', 6)
        summary = await other.summary(fork.id)
        assert summary is not None
        assert summary.forked is not None
        verdict = await Verifier(other, TemporalRunLog(lab.client)).verify(fork.id)
        assert verdict.verdict == Verdict.HEALTHY
    finally:
        await store.close()
        await other.close()
