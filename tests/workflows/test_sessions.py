"""Sessions: runs that wait for the next message instead of ending."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from holdfast import Agent, Holdfast, RunStatus, TextDelta, WorkerUnavailable, tool
from holdfast.children import AgentCall
from holdfast.client.agent_calls import call_agent
from holdfast.client.session import Session
from holdfast.commands import Receipt
from holdfast.errors import CommandRefused, RunOver, SessionOver
from holdfast.testing import Reply
from holdfast.testing.observed_calls import intercepted
from tests.support.aborted_updates import AbortedOnce
from tests.support.lab import Lab, contents, eventually
from tests.support.moments import continued
from tests.support.tiers import scaled

LONG = "This is the beginning of a very long answer that never comes to its end."
talker = Agent(name="talker", system_prompt="You talk.")


def session_of(lab: Lab, name: str, **options: Any) -> Session:
    """A session with an id of its own in this lab."""
    return lab.holdfast.session(f"{name}-{lab.settings.temporal_task_queue}", "talker", **options)


async def is_waiting(session: Session) -> None:
    """Waits until a session waits for a message."""

    async def waits() -> bool:
        progress = await session.run.status()
        return progress.status == RunStatus.WAITING and [wait.kind for wait in progress.waits_for] == ["message"]

    await eventually(waits)


async def test_a_message_sent_without_a_worker_has_its_own_answer(lab: Lab) -> None:
    """A message that Temporal keeps until a worker is there is not taken for an earlier one that has been answered."""
    session = session_of(lab, "kept")
    async with lab.worker(talker):
        lab.server.say("To the first.")
        assert (await session.ask("First.")).reply == "To the first."
        await is_waiting(session)
    kept = Receipt(id="second", seq=None, state="queued", note=None)
    handle = lab.client.get_workflow_handle(session.id)
    await handle.signal("send", {"text": "Second.", "id": kept.id})
    async with lab.worker(talker):
        lab.server.say("To the second.")
        begun: list[str] = []
        assert (await session.answer(kept, hear=lambda event: begun.append(getattr(event, "kind", "")))).reply == (
            "To the second."
        )
        assert begun.count("answer") == 1


async def test_a_message_that_no_worker_answers_is_abandoned_quietly(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller learns that no worker is there, or stops waiting when it wants to, and asyncio reports nothing."""
    reported: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(context["message"]))
    session = session_of(lab, "unanswered")
    handle = await lab.holdfast.start("talker", "Hi.")

    commands: list[Callable[[], Awaitable[Receipt]]] = [
        lambda: session.send("Hi."),
        lambda: handle.send("Hi."),
        handle.interrupt,
        handle.resume,
    ]
    for command in commands:
        for seconds in (0.0, 0.3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(seconds):
                    await command()
    asked = AgentCall(call="1", turn=1, key="1", agent="talker", input="Hi.")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await call_agent(lab.client, handle.id, asked)
    monkeypatch.setattr("holdfast.client.commander.ANSWER_TIMEOUT", 0.2)
    with pytest.raises(WorkerUnavailable, match="no worker polls task queue"):
        await session.send("Hi.")
    gc.collect()
    await asyncio.sleep(0)
    assert reported == []


async def test_a_conversation(lab: Lab) -> None:
    """Each message is answered in one run, which waits between them; only the first call starts it."""
    async with lab.worker(talker):
        session = session_of(lab, "conversation")
        lab.server.say("Hello.")
        assert (await session.ask("Hi.", id="m1")).reply == "Hello."
        await is_waiting(session)
        again = await session.send("Hi.", id="m1")
        assert again.id == "m1"
        lab.server.say("Fine.")
        answer = await session_of(lab, "conversation").ask("How are you?")
        assert (answer.reply, answer.turns, answer.success) == ("Fine.", 1, True)
        assert contents(await lab.entries(session.id)) == [
            ("system", "You talk."),
            ("user", "Hi."),
            ("assistant", "Hello."),
            ("user", "How are you?"),
            ("assistant", "Fine."),
        ]
        await session.run.cancel()
        assert (await session.run.result(60)).status == RunStatus.CANCELLED
        with pytest.raises(SessionOver, match="fork"):
            await session.send("Still there?")
        await lab.assert_mirrored(session.id)


async def test_a_failed_answer_does_not_end_a_session(lab: Lab) -> None:
    """A provider that rejects the request ends the exchange; the next message is answered."""
    async with lab.worker(talker):
        session = session_of(lab, "failing")
        lab.server.reply(Reply.error(401, "no such key"))
        answer = await session.ask("Hi.")
        assert answer.error is not None
        assert "no such key" in answer.error.message
        lab.server.say("Hello.")
        assert (await session.ask("Again?")).reply == "Hello."


async def test_a_session_ends_after_its_idle_limit(lab: Lab) -> None:
    """A session without messages ends as completed, with the last answer."""
    async with lab.worker(talker):
        session = session_of(lab, "idle", idle_limit=0.3)
        lab.server.say("Hello.")
        await session.ask("Hi.")
        result = await session.run.result(60)
        assert (result.status, result.content) == (RunStatus.COMPLETED, "Hello.")
        with pytest.raises(SessionOver):
            await session.send("Hi?")


async def test_a_session_limits_how_long_approvals_wait(lab: Lab) -> None:
    """At the deadline that the session sets, a call that nobody has approved is denied, and the agent answers."""

    @tool
    async def pay(amount: int) -> str:
        """Pays."""
        return f"paid {amount}"

    lab.server.call_tools(("pay", {"amount": 5}))
    lab.server.say("I see.")
    async with lab.worker(Agent(name="talker", tools=[pay]), max_cached_workflows=100):
        session = session_of(lab, "strict", approve=["pay"], approval_timeout=0.3)
        assert (await session.ask("Pay.")).reply == "I see."
        assert [entry.data["outcome"] for entry in await lab.entries(session.id) if entry.kind == "wait_ended"] == [
            "expired"
        ]


async def test_interrupt_keeps_a_session(lab: Lab) -> None:
    """`interrupt` keeps the partial answer, and the session waits for a message."""
    async with lab.worker(talker, max_cached_workflows=100):
        session = session_of(lab, "interrupted")
        lab.server.reply(Reply(text=LONG, hang_after=1))
        receipt = await session.send("Talk.")
        async for event in session.run.events():
            if isinstance(event, TextDelta):
                break
        await session.run.interrupt()
        answer = await session.answer(receipt)
        assert answer.error is not None
        assert answer.error.type == "Interrupted"
        await is_waiting(session)
        with pytest.raises(CommandRefused, match="no turn to interrupt"):
            await session.run.interrupt()
        lab.server.say("In short.")
        assert (await session.ask("Be brief.")).reply == "In short."


async def test_messages_to_what_is_no_session(lab: Lab) -> None:
    """A run that is not a session refuses messages of one."""
    async with lab.worker(talker):
        lab.server.reply(Reply(text=LONG, hang_after=1))
        run = await lab.holdfast.start("talker", "Talk.")
        await lab.server.wait_for_requests(1)
        with pytest.raises(CommandRefused, match="not a session"):
            await lab.holdfast.session(run.id, "talker").send("Hi.")
        await run.cancel()
        await run.result(60)


async def test_send_races_finish_delivered_or_refused(lab: Lab) -> None:
    """A message that arrives while a run ends is delivered, or its sender hears that the run is over."""
    lab.server.respond = lambda request: Reply(text=f"{len(request.messages)} messages")
    async with lab.worker(talker, max_cached_workflows=100):
        for delay in range(scaled(6, 60)):
            run = await lab.holdfast.start("talker", "Talk.")
            await asyncio.sleep(0.01 * delay)
            try:
                await run.send("One more thing.")
            except RunOver:
                expected = 0
            else:
                expected = 1
            await run.result(60)
            assert contents(await lab.entries(run.id)).count(("user", "One more thing.")) == expected


async def test_send_races_idle_end(lab: Lab) -> None:
    """A message that arrives as a session ends is answered, or its sender hears that the session is over."""
    lab.server.respond = lambda _request: Reply(text="Hello.")
    async with lab.worker(talker, max_cached_workflows=100):
        for number in range(scaled(4, 40)):
            session = session_of(lab, f"race-{number}", idle_limit=0.2)
            await session.ask("Hi.")
            await asyncio.sleep(0.17 + 0.01 * (number % 6))
            try:
                assert (await session.ask("Still there?")).reply == "Hello."
            except SessionOver:
                assert (await session.run.result(60)).status == RunStatus.COMPLETED


async def test_100_senders_one_session(lab: Lab) -> None:
    """A hundred senders start or join one session at once: each message is delivered once, in one run."""
    lab.server.respond = lambda _request: Reply(text="Noted.")
    senders = scaled(30, 100)
    async with lab.worker(talker, max_cached_workflows=100):
        session = session_of(lab, "crowded")
        receipts = await asyncio.gather(*(session.send(f"message {number}") for number in range(senders)))
        assert len({receipt.id for receipt in receipts}) == senders
        await is_waiting(session)
        texts = [text for role, text in contents(await lab.entries(session.id)) if role == "user"]
        assert sorted(texts) == sorted(f"message {number}" for number in range(senders))


async def test_a_message_that_the_server_aborts_is_sent_again(lab: Lab) -> None:
    """A server under load aborts updates: the message is sent again, and is delivered once."""
    client = intercepted(lab.client, AbortedOnce())
    lab.holdfast = Holdfast(client, task_queue=lab.settings.temporal_task_queue)
    lab.server.say("Hello.")
    async with lab.worker(talker, max_cached_workflows=100):
        session = session_of(lab, "aborted")
        await session.send("Hi.")
        await is_waiting(session)
        assert [role for role, _ in contents(await lab.entries(session.id))] == ["system", "user", "assistant"]


async def test_update_at_can_x200(short_histories: Lab) -> None:
    """Messages that arrive while a session continues as new are neither lost nor refused."""
    lab = short_histories
    lab.server.respond = lambda _request: Reply(text="Noted.")
    count = scaled(200, 800)
    async with lab.worker(talker, max_cached_workflows=100):
        session = session_of(lab, "long")
        await session.ask("message 0")
        first = (await lab.client.get_workflow_handle(session.id).describe()).run_id
        for start in range(1, count, 4):
            await asyncio.gather(*(session.send(f"message {number}") for number in range(start, start + 4)))
        await is_waiting(session)
        assert (await lab.client.get_workflow_handle(session.id).describe()).run_id != first
        texts = [entry.message.content async for entry in session.run.entries() if entry.message]
        for number in range(count):
            assert texts.count(f"message {number}") == 1
        await session.run.cancel()
        await session.run.result(60)


async def test_command_twice_across_can(short_histories: Lab) -> None:
    """A command that is repeated after its run continued as new is not carried out again."""
    lab = short_histories
    lab.server.respond = lambda _request: Reply(text="Noted.")
    async with lab.worker(talker, max_cached_workflows=100):
        session = session_of(lab, "repeated")
        await session.ask("Only once, please.", id="m1")
        await continued(lab, session.run)
        await session.send("Only once, please.", id="m1")
        with pytest.raises(CommandRefused, match="other content"):
            await session.send("Something else.", id="m1")
        await is_waiting(session)
        texts = [entry.message.content async for entry in session.run.entries() if entry.message]
        assert texts.count("Only once, please.") == 1
        await session.run.cancel()
        await session.run.result(60)


async def test_2500_updates_to_a_waiting_run(short_histories: Lab) -> None:
    """A run that only waits takes any number of commands: its history is renewed while it waits."""
    lab = short_histories
    count = scaled(120, 2500)
    async with lab.worker(talker, max_cached_workflows=100):
        session = session_of(lab, "busy")
        lab.server.say("Hello.")
        await session.ask("Hi.")
        await is_waiting(session)
        first = (await lab.client.get_workflow_handle(session.id).describe()).run_id
        for number in range(count // 2):
            await session.run.pause(id=f"pause-{number}")
            await session.run.resume(id=f"resume-{number}")
        assert (await lab.client.get_workflow_handle(session.id).describe()).run_id != first
        await is_waiting(session)
        lab.server.say("Still here.")
        assert (await session.ask("Are you there?")).reply == "Still here."
        await session.run.cancel()
        await session.run.result(60)
        await lab.assert_mirrored(session.id)
