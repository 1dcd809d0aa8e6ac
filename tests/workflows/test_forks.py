"""Forks: runs that begin with the log of another run, and change it."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast import RunHandle, TextDelta
from holdfast.errors import RunExists, RunNotFound, UsageError
from holdfast.forking import NOT_RUN
from holdfast.ops.doctor import Verdict, Verifier
from holdfast.temporal.run_log import TemporalRunLog
from holdfast.testing import Reply
from holdfast.types import RunStatus
from tests.support.lab import Lab, eventually
from tests.support.many_turns import walk, walker
from tests.support.scouts import file_of, forkable, scout, scouted, scouting, sent, writer


async def test_a_fork_continues_from_a_turn_of_an_ended_run(lab: Lab) -> None:
    """It copies the log up to the turn under the same numbers, and counts what it uses from 0."""
    async with forkable(lab).worker(scout):
        run = await scouted(lab)
        lab.server.say("There is a hut.")
        fork = await run.fork(at=2, message="Look again.", tool_results={"call_s": "south: a hut"})
        result = await fork.result(60)
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
        fork = await run.fork(
            at="turn-0", system_prompt="You refuse.", model=["other-model", "spare-model"], id="refuser"
        )
        assert (await fork.result(60)).content == "I would rather not."
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
        assert (await fork.result(60)).content == "So be it."
        assert sent(lab)[-3:] == [("assistant", "First."), ("tool", f"error: {NOT_RUN}"), ("user", "Why?")]
        lab.server.say("A lake.")
        again = await fork.fork(at=1, tool_results={"1/call_n": "north: a lake"})
        assert (await again.result(60)).content == "A lake."
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
        assert (await fork.result(60)).content == "Enough."
        assert sent(lab)[-2:] == [("tool", "south: nothing"), ("user", "Hurry.")]
        assert await run.ended() is None
        await run.terminate("the test is over")
        await lab.server.wait_disconnected(2)


async def test_fork_of_fork(lab: Lab) -> None:
    """A fork of a fork copies the edits of the first, and names it as its origin."""
    async with forkable(lab).worker(scout):
        run = await scouted(lab)
        lab.server.say("A hut.")
        first = await run.fork(at=2, message="Look again.", tool_results={"call_s": "south: a hut"})
        await first.result(60)
        lab.server.say("It is red.")
        second = await first.fork(message="Which color?", system_prompt="You paint.")
        assert (await second.result(60)).content == "It is red."
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
        assert (await third.result(60)).content == "It is still red."
        assert sent(lab)[0] == ("system", "You paint.")
        await lab.assert_mirrored(third.id)


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
        (1, {"tool_results": {"call_n": "x" * 300_000}, "message": "x" * 300_000}, "text of a fork has 600,000 bytes"),
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
        refused = await lab.holdfast.handle(ended.id).result(60)
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
        copied = file_of(await fork.result(60))
        assert f"by {run.id}" in [message.content async for message in fork.transcript()]
        assert (copied.read_text(), original.read_text()) == (f"by {fork.id}", f"by {run.id}")
        assert list(copied.parent.parent.glob(".*")) == []


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
        result = (await fork.result(60)).run
        assert result.error is not None
        assert (result.turns, result.error.type) == (4, "MaxTurnsExceeded")


async def test_budgets_are_repeated_and_count_anew(lab: Lab) -> None:
    """A fork has the budget of its origin, of which it has used nothing."""
    async with forkable(lab).worker(scout):
        for reply in scouting():
            lab.server.reply(reply)
        run = await lab.holdfast.start("scout", "Scout.", budget={"tool_calls": 2, "on_limit": "ask"})
        await run.result(60)
        for reply in scouting()[:2]:
            lab.server.reply(reply)
        fork = await run.fork(at=2, max_turns=2)

        async def asks() -> bool:
            return (await fork.status()).status == RunStatus.WAITING

        await eventually(asks)
        [wait] = (await fork.status()).waits_for
        assert "limit of 2 turns does not suffice: 2 used" in wait.what
        lab.server.say("Nothing.")
        await fork.raise_budget(turns=3)
        result = (await fork.result(60)).run
        assert (result.output, result.turns, result.tool_calls) == ("Nothing.", 5, 2)


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
        assert (await fork.result(60)).content == "Nothing."
        assert sent(lab)[-1] == ("tool", "north: nothing")


async def test_a_run_that_went_back_is_forked_as_its_model_sees_it(lab: Lab) -> None:
    """What a restore took back does not count in the fork either, and a restored answer is not made again."""
    lab.server.respond = walk(100)
    async with forkable(lab).worker(walker, max_cached_workflows=100):
        run = await lab.holdfast.start("walker", "Walk.", timeout=60)
        await lab.server.wait_for_requests(4)
        await run.pause()

        async def is_paused() -> bool:
            return (await run.status()).status == RunStatus.PAUSED

        await eventually(is_paused)
        assert await run.restore_from_checkpoint("2")
        lab.server.respond = lambda request: Reply(text=f"forked with {len(request.messages)}")
        fork = await run.fork()
        assert (await fork.result(60)).content == "forked with 6"
        assert [text for role, text in sent(lab) if role == "tool"] == ["step 0", "step 1"]
        await lab.assert_mirrored(fork.id)
        verdict = await Verifier(lab.store, TemporalRunLog(lab.client)).verify(fork.id)
        assert verdict.verdict == Verdict.HEALTHY
        went_back = await fork.fork(1)
        assert (await went_back.result(60)).content == "forked with 4"
        await run.cancel()
        await run.result(60)
        restored = await run.restore("turn-1", message="Go on.")
        assert (await restored.result(60)).content == "forked with 5"
        assert (await restored.status()).forked is not None


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
            await run.result(60)
