"""Commands to an open run: pause, resume, send, interrupt. Each is recorded, and carried out once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from holdfast import Agent, Entry, RunStatus, tool
from holdfast.errors import CommandRefused, RunNotFound, RunOver, UsageError
from holdfast.testing import Reply
from tests.support.lab import Lab, contents
from tests.support.moments import continued, has_status, streaming

LONG = "This is the beginning of a very long answer that never comes to its end."


@tool(read_only=True)
async def nap(seconds: float = 0.3) -> str:
    """Sleeps."""
    await asyncio.sleep(seconds)
    return "slept"


worker_bee = Agent(name="bee", system_prompt="You work.", tools=[nap])


def kinds(entries: list[Entry]) -> list[str]:
    """What happened, in short."""
    return [
        entry.data.get("command") or entry.data.get("status") or entry.kind
        for entry in entries
        if entry.kind in {"command", "status", "dropped", "refused", "answer"}
    ]


async def test_pause_with_calls_in_flight(lab: Lab) -> None:
    """Calls in flight end and are recorded, nothing new starts, and the run continues when it is resumed."""
    lab.server.call_tools(("nap", {}), ("nap", {"seconds": 0.4}))
    lab.server.say("Done.")
    async with lab.worker(worker_bee):
        handle = await lab.holdfast.start("bee", "Work.")
        await lab.server.wait_for_requests(1)
        receipt = await handle.pause(by="Ada")
        assert receipt.seq is not None
        await has_status(handle, RunStatus.PAUSED)
        progress = await handle.status()
        assert [(wait.kind, "Ada" in wait.what) for wait in progress.waits_for] == [("resume", True)]
        assert progress.deadline is None, "the clock of a paused run stands still"
        assert len(lab.server.requests) == 1
        with pytest.raises(CommandRefused, match="paused already"):
            await handle.pause()
        assert (await handle.resume()).state == "running"
        result = await handle.result(60)
        assert result.content == "Done."
        assert kinds(await lab.entries(handle.id)) == ["pause", "paused", "resume", "running"]
        await lab.assert_mirrored(handle.id)


async def test_pause_now_stops_the_stream(lab: Lab) -> None:
    """`now` closes the model's stream; after the pause, the model is asked again."""
    lab.server.reply(Reply(text=LONG, hang_after=1))
    lab.server.say("Done.")
    async with lab.worker(worker_bee, max_cached_workflows=100):
        handle = await lab.holdfast.start("bee", "Talk.")
        await streaming(handle)
        await handle.pause(now=True)
        await has_status(handle, RunStatus.PAUSED)
        await handle.resume()
        assert (await handle.result(60)).content == "Done."


async def test_messages_reach_the_next_model_call(lab: Lab) -> None:
    """A message to a working agent is received, then delivered with the next model call."""
    lab.server.call_tools(("nap", {}))
    lab.server.say("Done.")
    async with lab.worker(worker_bee):
        handle = await lab.holdfast.start("bee", "Work.")
        await lab.server.wait_for_requests(1)
        await handle.send("Be quick.", id="m1")
        again = await handle.send("Be quick.", id="m1")
        assert again.id == "m1"
        with pytest.raises(CommandRefused, match="other content"):
            await handle.send("Be slow.", id="m1")
        await handle.result(60)
        entries = await lab.entries(handle.id)
        assert contents(entries)[-2:] == [("user", "Be quick."), ("assistant", "Done.")]
        assert kinds(entries) == ["send"]
        delivered = [entry for entry in entries if entry.data.get("command") == "m1"]
        assert len(delivered) == 1


async def test_message_during_last_answer(lab: Lab) -> None:
    """A message that arrives during the last answer causes one more model call."""
    lab.server.reply(Reply(text="First answer.", hang_after=1))
    async with lab.worker(worker_bee, max_cached_workflows=100):
        handle = await lab.holdfast.start("bee", "Talk.")
        await streaming(handle)
        await handle.send("One more thing.", policy="enqueue")
        lab.server.say("Second answer.")
        await handle.send("Now.", policy="interrupt")
        result = await handle.result(60)
        assert result.content == "Second answer."
        texts = contents(await lab.entries(handle.id))
        assert ("user", "One more thing.") in texts
        assert ("user", "Now.") in texts


async def test_interrupt_pauses_a_one_shot_run(lab: Lab) -> None:
    """Without a text, `interrupt` keeps the partial answer and pauses; with one, the agent continues with it."""
    lab.server.reply(Reply(text=LONG, hang_after=1))
    async with lab.worker(worker_bee, max_cached_workflows=100):
        handle = await lab.holdfast.start("bee", "Talk.")
        await streaming(handle)
        await handle.interrupt()
        await has_status(handle, RunStatus.PAUSED)
        lab.server.say("In short.")
        await handle.send("Be brief.")
        await handle.resume()
        assert (await handle.result(60)).content == "In short."
        roles = [role for role, _ in contents(await lab.entries(handle.id))]
        assert roles == ["system", "user", "assistant", "user", "assistant"]


async def test_an_ended_run_takes_no_commands(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command to a run that has ended or does not exist is refused, also if no update was answered in time."""
    lab.server.say("Done.")
    async with lab.worker(worker_bee):
        handle = await lab.holdfast.start("bee", "Work.")
        await handle.result(60)
        with pytest.raises(RunOver, match="has ended"):
            await handle.send("Hello?")
        with pytest.raises(RunNotFound):
            await lab.holdfast.handle("no-such-run").pause()
        with pytest.raises(UsageError, match="blank"):
            await handle.send("  ")
        with pytest.raises(UsageError, match="policy"):
            await handle.send("Hello", policy="shout")
        for patience in ("ANSWER_TIMEOUT", "LAST_TIMEOUT"):
            monkeypatch.setattr(f"holdfast.client.commander.{patience}", 0)
        with pytest.raises(RunOver, match="has ended"):
            await handle.send("Hello?")
        with pytest.raises(RunNotFound):
            await lab.holdfast.handle("no-such-run").pause()


@pytest.mark.parametrize("given", [[], ["Be quick."], [{"text": "Be quick.", "policy": "steer"}]])
async def test_signals_do_the_same(lab: Lab, given: list[Any]) -> None:
    """The UI's signals take an object, a bare string or nothing."""
    lab.server.call_tools(("nap", {}))
    lab.server.say("Done.")
    async with lab.worker(worker_bee):
        handle = await lab.holdfast.start("bee", "Work.")
        await lab.server.wait_for_requests(1)
        await lab.client.get_workflow_handle(handle.id).signal("send", args=given)
        await handle.result(60)
        entries = await lab.entries(handle.id)
        if given:
            assert contents(entries)[-2] == ("user", "Be quick.")
        else:
            [refused] = [entry for entry in entries if entry.kind == "refused"]
            assert "text is missing" in refused.data["reason"]


@pytest.mark.parametrize("given", [[42], [[1]], [{"text": 7}], [{"text": "x", "polcy": "steer"}], [None, None]])
async def test_malformed_ui_signal_leaves_run_alive(lab: Lab, given: list[Any]) -> None:
    """A signal that cannot be understood is recorded, and the run continues."""
    lab.server.call_tools(("nap", {}))
    lab.server.say("Done.")
    async with lab.worker(worker_bee):
        handle = await lab.holdfast.start("bee", "Work.")
        await lab.server.wait_for_requests(1)
        await lab.client.get_workflow_handle(handle.id).signal("send", args=given)
        assert (await handle.result(60)).content == "Done."
        [refused] = [entry for entry in await lab.entries(handle.id) if entry.kind == "refused"]
        assert refused.data["signal"] == "send"


async def test_unknown_signal_recorded(lab: Lab) -> None:
    """A signal or update of an unknown name is answered with those that exist."""
    lab.server.call_tools(("nap", {}))
    lab.server.say("Done.")
    async with lab.worker(worker_bee):
        handle = await lab.holdfast.start("bee", "Work.")
        await lab.server.wait_for_requests(1)
        temporal = lab.client.get_workflow_handle(handle.id)
        await temporal.signal("halt", "please")
        with pytest.raises(Exception, match="update failed") as failure:
            await temporal.execute_update("halt", "please")
        assert "pause" in str(failure.value.__cause__)
        await handle.result(60)
        [refused] = [entry for entry in await lab.entries(handle.id) if entry.kind == "refused"]
        assert refused.data == {
            "signal": "halt",
            "reason": refused.data["reason"],
            "given": ["please"],
        }
        assert all(name in refused.data["reason"] for name in ("the commands are", "interrupt", "pause", "send"))


async def test_commands_before_the_run_begins(lab: Lab) -> None:
    """Commands that arrive before a worker has started the run are carried out when it begins."""
    handle = await lab.holdfast.start("bee", "Work.")
    temporal = lab.client.get_workflow_handle(handle.id)
    await temporal.signal("pause")
    await temporal.signal("send", "Be quick.")
    lab.server.say("Done.")
    async with lab.worker(worker_bee):
        await has_status(handle, RunStatus.PAUSED)
        assert not lab.server.requests
        await handle.resume()
        assert (await handle.result(60)).content == "Done."
        assert contents(await lab.entries(handle.id))[2] == ("user", "Be quick.")


async def test_without_a_worker_commands_wait_in_temporal(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command to a run that no worker serves is kept by Temporal, and its receipt says so."""
    monkeypatch.setattr("holdfast.client.commander.ANSWER_TIMEOUT", 0.2)
    handle = await lab.holdfast.start("bee", "Work.")
    receipt = await handle.send("Be quick.")
    assert (receipt.seq, receipt.state) == (None, "queued")
    lab.server.say("Done.")
    async with lab.worker(worker_bee):
        await handle.result(60)
        texts = contents(await lab.entries(handle.id))
        assert texts.count(("user", "Be quick.")) == 1


async def test_a_command_that_no_worker_answers_is_kept(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Temporal lists a worker for minutes after it was lost; a command that it does not answer is kept all the same."""
    lab.server.call_tools(("nap", {"seconds": 0.0}))
    async with lab.worker(worker_bee):
        handle = await lab.holdfast.start("bee", "Work.")
        await lab.server.wait_for_requests(1)
        await handle.pause()
        await has_status(handle, RunStatus.PAUSED)
    monkeypatch.setattr("holdfast.client.commander.ANSWER_TIMEOUT", 0.2)
    monkeypatch.setattr("holdfast.client.commander.LAST_TIMEOUT", 0.5)
    assert [(await handle.send("Be quick.", id="s1")).seq for _ in range(2)] == [None, None]
    assert (await handle.resume()).seq is None
    monkeypatch.undo()
    lab.server.say("Done.")
    async with lab.worker(worker_bee):
        await handle.result(60)
        assert contents(await lab.entries(handle.id)).count(("user", "Be quick.")) == 1


async def test_pause_over_can(short_histories: Lab) -> None:
    """A run that was paused over continue-as-new is still paused, and knows the ids of its commands."""
    lab = short_histories
    naps = 40
    for _ in range(naps):
        lab.server.call_tools(("nap", {"seconds": 0.0}))
    lab.server.say("Done.")
    async with lab.worker(worker_bee, max_cached_workflows=100):
        handle = await lab.holdfast.start("bee", "Work.")
        await lab.server.wait_for_requests(2)
        receipt = await handle.pause(id="p1")
        await has_status(handle, RunStatus.PAUSED)
        await continued(lab, handle)
        await has_status(handle, RunStatus.PAUSED)
        assert (await handle.pause(id="p1")).seq == receipt.seq
        await handle.resume()
        assert (await handle.result(60)).content == "Done."
        await lab.assert_mirrored(handle.id)
