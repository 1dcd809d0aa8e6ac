"""Reruns, and comparisons of runs."""

from __future__ import annotations

import pytest

from holdfast import Agent, RunHandle, tool
from holdfast.client.comparison import RunDiff
from holdfast.client.holdfast import Holdfast
from holdfast.errors import RunNotFound, UsageError
from holdfast.testing import ChatToolCall, Reply
from holdfast.types import RunStatus
from tests.support.lab import Lab


@tool(read_only=True)
async def look(place: str) -> str:
    """Looks at a place."""
    return f"{place}: nothing"


old = Agent(name="scout", system_prompt="You scout.", tools=[look], max_turns=7)
new = Agent(name="scout", system_prompt="You scout with care.", tools=[look])


async def scouted(lab: Lab, answer: str = "Nothing.") -> RunHandle:
    """An ended run of two turns."""
    lab.holdfast = Holdfast(lab.client, task_queue=lab.settings.temporal_task_queue, mirror=lambda: lab.store)
    lab.server.reply(Reply(tool_calls=[ChatToolCall("look", {"place": "north"})]))
    lab.server.say(answer)
    run = await lab.holdfast.start("scout", "Scout.", model="m-1", timeout=77, tags={"team": "a"})
    await run.result()
    await lab.assert_mirrored(run.id)
    return run


def prompt(lab: Lab) -> tuple[str, str]:
    """The model and the system prompt of the newest request."""
    body = lab.server.requests[-1].body
    return body["model"], body["messages"][0]["content"]


async def test_a_rerun_repeats_input_agent_limits_and_tags(lab: Lab) -> None:
    """The agent is as it was; with `latest`, as it is now."""
    async with lab.worker(old):
        run = await scouted(lab)
    async with lab.worker(new):
        lab.server.say("Still nothing.")
        again = await run.rerun()
        assert (await again.result(60)).content == "Still nothing."
        assert prompt(lab) == ("m-1", "You scout.")
        [start, _, asked, *_] = await lab.entries(again.id)
        assert (start.data["request"]["timeout"], start.data["request"]["tags"]) == (77, {"team": "a"})
        assert start.data["request"]["rerun_of"] == run.id
        assert asked.data["message"]["content"] == "Scout."
        status = await again.status()
        assert (status.rerun_of, status.max_turns, (await again.listed()).rerun_of) == (run.id, 7, run.id)
        lab.server.say("Less than nothing.")
        latest = await again.rerun(latest=True, id="latest-1")
        assert (latest.id, (await latest.result(60)).content) == ("latest-1", "Less than nothing.")
        assert prompt(lab) == ("m-1", "You scout with care.")
        await lab.assert_mirrored(latest.id)
        summary = await lab.store.summary(latest.id)
        assert summary is not None
        assert summary.rerun_of == again.id


async def test_a_fork_is_forked_again(lab: Lab) -> None:
    """The rerun of a fork begins where the fork began, with the message that it added."""
    async with lab.worker(old):
        run = await scouted(lab)
        lab.server.say("A hut.")
        fork = await run.fork(at="message-2", message="Look again.")
        await fork.result(60)
        shown = lab.server.requests[-1].messages
        lab.server.say("A house.")
        again = await fork.rerun()
        assert (await again.result(60)).content == "A house."
        assert lab.server.requests[-1].messages == shown
        status = await again.status()
        assert status.forked is not None
        assert (status.forked.run, status.rerun_of) == (fork.id, fork.id)


async def test_what_cannot_be_repeated(lab: Lab) -> None:
    """An unknown run, and a name that is taken, start nothing."""
    async with lab.worker(old):
        run = await scouted(lab)
        with pytest.raises(RunNotFound):
            await lab.holdfast.handle("no-such-run").rerun()
        with pytest.raises(UsageError, match="exists already"):
            await run.rerun(id=run.id)


async def test_runs_are_compared(lab: Lab) -> None:
    """The first message that differs is named, and each run has only what it did itself."""
    async with lab.worker(old):
        run = await scouted(lab)
        lab.server.reply(Reply(tool_calls=[ChatToolCall("look", {"place": "south"})]))
        lab.server.say("A hut.")
        fork = await run.fork(at=1, message="Look south.")
        await fork.result(60)
        diff = await run.diff(fork.id)
        assert (diff.same, diff.a.status, diff.b.status) == (4, RunStatus.COMPLETED, RunStatus.COMPLETED)
        assert diff.first is not None
        assert [message and message.content for message in diff.first] == ["Nothing.", "Look south."]
        assert (diff.a.turns, diff.a.tool_calls, diff.a.output) == (2, {"look": 1}, "Nothing.")
        assert (diff.b.turns, diff.b.tool_calls, diff.b.output) == (2, {"look": 1}, "A hut.")
        assert diff.a.usage == (await run.usage())
        assert diff.b.usage == (await fork.usage())
        assert diff.b.forked is not None
        assert diff.b.forked.run == run.id
        same = await run.diff(run.id)
        assert (same.first, same.same, same.a) == (None, 5, same.b)
        with pytest.raises(RunNotFound, match="no-such-run"):
            await run.diff("no-such-run")
        assert RunDiff.model_validate_json(diff.model_dump_json()) == diff


async def test_an_open_run_is_compared(lab: Lab) -> None:
    """A run that has not ended is compared as far as it is."""
    async with lab.worker(old):
        run = await scouted(lab)
        lab.server.reply(Reply(hang=True))
        other = await lab.holdfast.start("scout", "Scout.")
        await lab.server.wait_for_requests(3)
        diff = await run.diff(other.id)
        assert (diff.same, diff.b.status, diff.b.seconds, diff.b.turns) == (2, RunStatus.RUNNING, None, 0)
        assert diff.first is not None
        assert diff.first[1] is None
        await other.terminate("the test is over")
        await lab.server.wait_disconnected(2)
