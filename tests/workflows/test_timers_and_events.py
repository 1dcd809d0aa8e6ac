"""Waits that a run performs without a worker: questions to people, sleep, messages and events."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from holdfast import Agent, Entry, RunHandle, RunStatus, names
from holdfast.errors import CommandRefused, TemporalUnavailable, UsageError
from holdfast.event_topics import EventTopicState, EventWaiter, event_topic_id
from holdfast.progress import Wait
from holdfast.temporal.event_topics import TemporalEventTopics
from holdfast.tools import ask_human, emit, sleep, wait_for_event, wait_for_message
from tests.support.lab import Lab, contents, eventually
from tests.support.moments import continued

idler = Agent(name="idler", tools=[ask_human, sleep, wait_for_message, wait_for_event, emit])


async def waiting(handle: RunHandle, kind: str) -> Wait:
    """Waits until a run waits for something of a kind, and returns it."""
    found: list[Wait] = []

    async def reached() -> bool:
        progress = await handle.status()
        found[:] = [wait for wait in progress.waits_for if wait.kind == kind]
        return bool(found) and progress.status == RunStatus.WAITING

    await eventually(reached)
    return found[0]


def results(entries: list[Entry]) -> list[str]:
    """What the model was told."""
    return [text for role, text in contents(entries) if role == "tool"]


async def finished_at(lab: Lab, handle: RunHandle) -> datetime:
    """Waits for the end of a run, and returns when it was."""
    await handle.result(60)
    return (await lab.entries(handle.id))[-1].at


async def told(lab: Lab, tool: str, arguments: Mapping[str, Any] | str) -> str:
    """Runs an agent that makes one call, and returns what the model was told."""
    lab.server.call_tools((tool, arguments))
    lab.server.say("Done.")
    async with lab.worker(idler, max_cached_workflows=100):
        result = await lab.holdfast.run("idler", "Go.")
        [text] = results(await lab.entries(result.run_id))
        await lab.assert_mirrored(result.run_id)
    return text


# --- questions


async def test_a_person_answers(lab: Lab) -> None:
    """A question waits for a person's answer, which must be one of its options, and is the call's result."""
    lab.server.call_tools(("ask_human", {"question": "Red or blue?", "options": ["red", "blue"]}))
    lab.server.say("Done.")
    async with lab.worker(idler, max_cached_workflows=100):
        handle = await lab.holdfast.start("idler", "Ask.")
        wait = await waiting(handle, "question")
        assert wait.what == "the answer to: Red or blue?"
        assert wait.data["options"] == ["red", "blue"]
        with pytest.raises(CommandRefused, match="must be one of 'red', 'blue'"):
            await handle.answer(wait.id, "green")
        with pytest.raises(CommandRefused, match="only people"):
            await handle.answer(wait.id, "red", by="run:other")
        await handle.answer(None, "blue", by="Ada")
        await handle.result(60)
        assert results(await lab.entries(handle.id)) == ["blue"]
        await lab.assert_mirrored(handle.id)


async def test_a_question_without_options_takes_any_text(lab: Lab) -> None:
    """Temporal's UI answers with a bare text; the second person hears who was first."""
    lab.server.call_tools(("ask_human", {"question": "Why?"}), ("ask_human", {"question": "How?"}))
    lab.server.say("Done.")
    async with lab.worker(idler, max_cached_workflows=100):
        handle = await lab.holdfast.start("idler", "Ask.")
        wait = await waiting(handle, "question")
        with pytest.raises(CommandRefused, match="several questions wait: name one of"):
            await handle.answer(None, "because")
        await handle.answer(wait.id, "because", by="Ada")
        with pytest.raises(CommandRefused, match="was answered by Ada"):
            await handle.answer(wait.id, "no")
        await lab.client.get_workflow_handle(handle.id).signal("answer", "so")
        await handle.result(60)
        assert results(await lab.entries(handle.id)) == ["because", "so"]


async def test_a_question_that_nobody_answers(lab: Lab) -> None:
    """At the deadline of the run's approvals and questions, the agent is told and continues."""
    lab.server.call_tools(("ask_human", {"question": "Why?"}))
    lab.server.say("Done.")
    async with lab.worker(idler, max_cached_workflows=100):
        result = await lab.holdfast.run("idler", "Ask.", approval_timeout=0.2)
        assert results(await lab.entries(result.run_id)) == ["error: nobody answered in time"]


async def test_a_question_may_need_approval_itself(lab: Lab) -> None:
    """What the run itself performs can need approval, too, and then waits twice."""
    lab.server.call_tools(("ask_human", {"question": "Why?"}))
    lab.server.say("Done.")
    async with lab.worker(idler, max_cached_workflows=100):
        handle = await lab.holdfast.start("idler", "Ask.", approve=["ask_human"])
        await handle.approve((await waiting(handle, "approval")).id)
        await handle.answer((await waiting(handle, "question")).id, "because")
        await handle.result(60)
        assert results(await lab.entries(handle.id)) == ["because"]


# --- timers


async def test_sleep_for_a_span(lab: Lab) -> None:
    """A run sleeps without a slot, its clock stands still, and its log says until when."""
    lab.server.call_tools(("sleep", {"seconds": 0.4}))
    lab.server.say("Done.")
    async with lab.worker(idler, max_cached_workflows=100):
        handle = await lab.holdfast.start("idler", "Sleep.")
        wait = await waiting(handle, "timer")
        assert wait.until is not None
        assert wait.until - wait.since == timedelta(seconds=0.4)
        assert await finished_at(lab, handle) >= wait.until
        [ended] = [entry for entry in await lab.entries(handle.id) if entry.kind == "wait_ended"]
        assert ended.data["outcome"] == "elapsed"


async def test_sleep_until_a_time(lab: Lab) -> None:
    """A time with another offset is understood; one that has passed ends at once."""
    moment = datetime.now(UTC) - timedelta(hours=1)
    text = await told(lab, "sleep", {"until": moment.astimezone(tz=None).isoformat()})
    assert text.startswith("slept until ")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({}, "pass either `seconds` or `until`"),
        ({"seconds": 1, "until": "2026-01-01"}, "pass either `seconds` or `until`"),
        ({"until": "tomorrow"}, "until='tomorrow' is not a time"),
        ({"seconds": -1}, "seconds"),
        ({"minutes": 1}, "minutes is not known; known: seconds, until"),
        ("[", "not a JSON object"),
    ],
)
async def test_sleep_refuses_nonsense(lab: Lab, arguments: Mapping[str, Any] | str, error: str) -> None:
    """Arguments that make no sense are an error for the model."""
    assert error in await told(lab, "sleep", arguments)


async def test_sleep_over_can(short_histories: Lab) -> None:
    """A sleep that a run carries over continue-as-new ends when it was to end at first."""
    lab = short_histories
    lab.server.call_tools(("sleep", {"seconds": 4}))
    lab.server.say("Done.")
    async with lab.worker(idler, max_cached_workflows=100):
        handle = await lab.holdfast.start("idler", "Sleep.")
        before = await waiting(handle, "timer")
        await continued(lab, handle)
        assert await waiting(handle, "timer") == before
        assert before.until is not None
        assert timedelta() <= await finished_at(lab, handle) - before.until < timedelta(seconds=3)
        await lab.assert_mirrored(handle.id)


# --- messages


async def test_wait_for_a_message(lab: Lab) -> None:
    """An agent that waits for a message reads it next, whatever its policy."""
    lab.server.call_tools(("wait_for_message", {}))
    lab.server.say("Done.")
    async with lab.worker(idler, max_cached_workflows=100):
        handle = await lab.holdfast.start("idler", "Wait.")
        await waiting(handle, "message")
        await handle.send("Hello.", policy="enqueue")
        await handle.result(60)
        assert contents(await lab.entries(handle.id))[-3:] == [
            ("tool", "a message arrived; it follows"),
            ("user", "Hello."),
            ("assistant", "Done."),
        ]


async def test_a_message_that_does_not_come(lab: Lab) -> None:
    """The wait for a message can be limited."""
    assert await told(lab, "wait_for_message", {"seconds": 0.1}) == "no message arrived in time"


# --- events


async def test_an_event_wakes_every_run_that_waits(lab: Lab) -> None:
    """One event reaches all runs that wait for its name, and no others."""
    async with lab.worker(idler, max_cached_workflows=100):
        handles = []
        for name in ("deployed", "deployed", "tested"):
            lab.server.call_tools(("wait_for_event", {"name": name}))
            handles.append(handle := await lab.holdfast.start("idler", "Wait."))
            await waiting(handle, "event")
        *deployed, tested = handles
        for _ in handles:
            lab.server.say("Done.")
        await lab.holdfast.emit("deployed", {"ok": True}, by="Ada")
        for handle in deployed:
            await handle.result(60)
            assert results(await lab.entries(handle.id)) == ['{"ok": true}']
        assert (await tested.status()).status == RunStatus.WAITING
        await lab.holdfast.emit("tested")
        await tested.result(60)
        assert results(await lab.entries(tested.id)) == ["null"]
        await lab.assert_mirrored(tested.id)


async def is_kept(lab: Lab, name: str) -> bool:
    """Whether the keeper of an event has one, whose time is that of its arrival."""
    topic = lab.client.get_workflow_handle(event_topic_id(lab.settings.temporal_task_queue, name))
    state: EventTopicState = await topic.query(names.QUERY_STATUS, result_type=EventTopicState)
    return bool(state.events)


async def test_event_before_wait(lab: Lab) -> None:
    """An event that came before the run waited is not lost; one from before the run's start is not for it."""
    await lab.holdfast.emit("built", "too early")
    lab.server.call_tools(("sleep", {"seconds": 0.5}))
    lab.server.call_tools(("wait_for_event", {"name": "built"}))
    lab.server.call_tools(("wait_for_event", {"name": "built"}))
    lab.server.call_tools(("wait_for_event", {"name": "built", "seconds": 0.3}))
    lab.server.say("Done.")
    async with lab.worker(idler, max_cached_workflows=100):
        await eventually(lambda: is_kept(lab, "built"))
        handle = await lab.holdfast.start("idler", "Wait.")
        await waiting(handle, "timer")
        await lab.holdfast.emit("built", 1, id="one")
        await lab.holdfast.emit("built", "again", id="one")
        await lab.holdfast.emit("built", 2)
        await handle.result(60)
        assert results(await lab.entries(handle.id))[1:] == ["1", "2", "no event 'built' was emitted in time"]


async def test_an_agent_wakes_another_one(lab: Lab) -> None:
    """An agent emits events with a tool; a run that is slow to emit twice emits once."""
    lab.server.call_tools(("wait_for_event", {"name": "ready"}))
    async with lab.worker(idler, max_cached_workflows=100):
        sleeper = await lab.holdfast.start("idler", "Wait.")
        await waiting(sleeper, "event")
        lab.server.call_tools(("emit", {"name": "ready", "data": [1]}))
        for _ in range(2):
            lab.server.say("Done.")
        caller = await lab.holdfast.run("idler", "Emit.")
        assert results(await lab.entries(caller.run_id)) == ["emitted 'ready'"]
        await sleeper.result(60)
        [ended] = [entry for entry in await lab.entries(sleeper.id) if entry.kind == "wait_ended"]
        assert (ended.data["outcome"], ended.data["by"]) == ("event", f"run:{caller.run_id}")


async def test_events_over_continue_as_new(short_histories: Lab) -> None:
    """A run that waits for an event over continue-as-new receives it once."""
    lab = short_histories
    lab.server.call_tools(("wait_for_event", {"name": "late"}))
    lab.server.call_tools(("wait_for_event", {"name": "late", "seconds": 0.2}))
    lab.server.say("Done.")
    async with lab.worker(idler, max_cached_workflows=100):
        handle = await lab.holdfast.start("idler", "Wait.")
        await waiting(handle, "event")
        await continued(lab, handle)
        await waiting(handle, "event")
        await lab.holdfast.emit("late", "now")
        await handle.result(60)
        assert results(await lab.entries(handle.id)) == ['"now"', "no event 'late' was emitted in time"]


async def test_a_run_that_is_gone_is_forgotten(lab: Lab) -> None:
    """The keeper of an event forgets a run that was cancelled or has ended, and ends when it keeps nothing."""
    topic = lab.client.get_workflow_handle(event_topic_id(lab.settings.temporal_task_queue, "never"))
    lab.server.call_tools(("wait_for_event", {"name": "never"}))
    async with lab.worker(idler, max_cached_workflows=100):
        handle = await lab.holdfast.start("idler", "Wait.")
        await waiting(handle, "event")
        await handle.cancel()
        await handle.result(60)

        async def has_ended() -> bool:
            return (await topic.describe()).close_time is not None

        await eventually(has_ended)


async def test_a_run_that_is_cancelled_while_it_registers_is_forgotten(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The keeper of an event is told that a run no longer waits after it was told that the run waits."""
    register, began, may_go_on = TemporalEventTopics.register, asyncio.Event(), asyncio.Event()

    async def slow(self: TemporalEventTopics, name: str, waiter: EventWaiter) -> None:
        began.set()
        await may_go_on.wait()
        await register(self, name, waiter)

    monkeypatch.setattr(TemporalEventTopics, "register", slow)
    topic = lab.client.get_workflow_handle(event_topic_id(lab.settings.temporal_task_queue, "never"))
    lab.server.call_tools(("wait_for_event", {"name": "never"}))
    async with lab.worker(idler, max_cached_workflows=100):
        handle = await lab.holdfast.start("idler", "Wait.")
        await began.wait()
        await handle.cancel()

        async def has_heard() -> bool:
            history = await lab.client.get_workflow_handle(handle.id).fetch_history()
            kinds = [event.WhichOneof("attributes") for event in history.events]
            asked = kinds.index("workflow_execution_cancel_requested_event_attributes")
            return "workflow_task_completed_event_attributes" in kinds[asked:]

        await eventually(has_heard)
        may_go_on.set()
        assert (await handle.result(60)).status == RunStatus.CANCELLED

        async def has_ended() -> bool:
            return (await topic.describe()).close_time is not None

        await eventually(has_ended)


@pytest.mark.parametrize("signal", [("emit", 7), ("await", {"run": 1}), ("forget", None), ("shout", "x")])
async def test_nonsense_does_not_end_a_topic(lab: Lab, signal: tuple[str, object]) -> None:
    """What a topic cannot read is ignored; its events stay."""
    await lab.holdfast.emit("kept", 1)
    topic = lab.client.get_workflow_handle(event_topic_id(lab.settings.temporal_task_queue, "kept"))
    await topic.signal(signal[0], signal[1])
    async with lab.worker(idler, max_cached_workflows=100):
        state = await topic.query("status")
        assert [event["data"] for event in state["events"]] == [1]


@pytest.mark.parametrize(("name", "data"), [("", 1), ("x" * 201, 1), (" x", 1), ("x", "y" * 70_000)])
async def test_an_event_that_is_not_accepted(lab: Lab, name: str, data: object) -> None:
    """A name or data out of bounds is refused where the event is emitted."""
    with pytest.raises(UsageError):
        await lab.holdfast.emit(name, data)  # type: ignore[arg-type]


@pytest.mark.parametrize("ends", [False, True], ids=["interrupted", "cancelled"])
async def test_an_emission_that_is_tried_again_can_be_stopped(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, *, ends: bool
) -> None:
    """An interruption or a cancel between two attempts of an emission ends the call, not the run with an error."""
    tried = asyncio.Event()

    async def unavailable(_self: TemporalEventTopics, _name: str, _event: object) -> None:
        tried.set()
        raise TemporalUnavailable("it is restarted")

    monkeypatch.setattr(TemporalEventTopics, "emit", unavailable)
    lab.server.call_tools(("emit", {"name": "ready"}))
    lab.server.say("Something else.")
    async with lab.worker(idler, max_cached_workflows=100):
        handle = await lab.holdfast.start("idler", "Emit.")
        await tried.wait()
        await (handle.cancel() if ends else handle.interrupt("Do something else."))
        result = await handle.result(60)
        assert result.status == (RunStatus.CANCELLED if ends else RunStatus.COMPLETED), result.error
        [stopped] = results(await lab.entries(handle.id))
        assert "stopped" in stopped
        await lab.assert_mirrored(handle.id)
