"""Calls that wait for a person: approved, denied, edited, expired; in any order, around crashes and long histories."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from holdfast import Agent, Entry, RunHandle, RunStatus, tool
from holdfast.errors import CommandRefused
from holdfast.progress import Wait
from tests.support.lab import Lab, contents, eventually
from tests.support.moments import continued


class Till:
    """Counts what was really done."""

    def __init__(self) -> None:
        self.paid: list[tuple[int, str]] = []

    def agent(self, approval: Any = "always", **options: Any) -> Agent:
        """An agent whose payments a person must approve."""

        @tool(approval=approval)
        async def pay(amount: int, to: str = "Bob") -> str:
            """Pays."""
            self.paid.append((amount, to))
            return f"paid {amount} to {to}"

        @tool(read_only=True)
        async def look() -> str:
            """Looks."""
            return "looked"

        return Agent(name="clerk", system_prompt="You pay.", tools=[pay, look], **options)


@pytest.fixture
def till() -> Till:
    """What the tools of the test do."""
    return Till()


async def waiting(handle: RunHandle, count: int = 1) -> list[Wait]:
    """Waits until so many calls wait for a person, and returns them."""
    found: list[Wait] = []

    async def reached() -> bool:
        found[:] = [wait for wait in (await handle.status()).waits_for if wait.kind == "approval"]
        return len(found) == count

    await eventually(reached)
    return found


def ends(entries: list[Entry]) -> list[tuple[str, str | None]]:
    """How the waits of a run ended, and by whom."""
    return [(entry.data["outcome"], entry.data.get("by")) for entry in entries if entry.kind == "wait_ended"]


def results(entries: list[Entry]) -> list[str]:
    """What the model was told, in the order in which it was recorded."""
    return [text for role, text in contents(entries) if role == "tool"]


async def test_a_call_waits_for_its_approval(lab: Lab, till: Till) -> None:
    """A call that needs approval is not made before; the run waits without a slot, and says for what."""
    lab.server.call_tools(("pay", {"amount": 5}))
    lab.server.say("Done.")
    async with lab.worker(till.agent(), max_cached_workflows=100):
        handle = await lab.holdfast.start("clerk", "Pay.")
        [wait] = await waiting(handle)
        assert wait.what == "approval of pay(amount=5)"
        assert wait.data["arguments"] == {"amount": 5}

        async def is_waiting() -> bool:
            return (await handle.status()).status == RunStatus.WAITING

        await eventually(is_waiting)
        assert till.paid == []
        await handle.approve(wait.id, by="Ada")
        assert (await handle.result(60)).content == "Done."
        assert till.paid == [(5, "Bob")]
        assert ends(await lab.entries(handle.id)) == [("approved", "Ada")]
        await lab.assert_mirrored(handle.id)


async def test_a_denied_call_is_not_made(lab: Lab, till: Till) -> None:
    """The agent is told who denied its call, and why, and continues."""
    lab.server.call_tools(("pay", {"amount": 5}))
    lab.server.say("I see.")
    async with lab.worker(till.agent(), max_cached_workflows=100):
        handle = await lab.holdfast.start("clerk", "Pay.")
        [wait] = await waiting(handle)
        await handle.deny(str(wait.data["call"]), reason="too much", by="Ada")
        assert (await handle.result(60)).content == "I see."
        assert results(await lab.entries(handle.id)) == ["error: Ada denied this call, so it was not made: too much"]
        assert till.paid == []


@pytest.mark.parametrize(
    ("arguments", "asks"),
    [('{"amount": 50}', False), ('{"amount": 500}', True), ('{"amount": "a lot"}', True), ("{", True)],
)
async def test_a_condition_decides_and_fails_closed(lab: Lab, till: Till, arguments: str, asks: bool) -> None:
    """The tool's own condition decides; arguments that it cannot judge need approval."""
    lab.server.call_tools(("pay", arguments))
    lab.server.say("Done.")
    async with lab.worker(till.agent(lambda amount: amount > 100)):
        handle = await lab.holdfast.start("clerk", "Pay.")
        if asks:
            [wait] = await waiting(handle)
            await handle.deny(wait.id)
        await handle.result(60)
        assert till.paid == ([] if asks else [(50, "Bob")])


async def test_a_condition_that_raises_asks_a_person(lab: Lab, till: Till) -> None:
    """An error of the condition means that the call needs approval."""
    lab.server.call_tools(("pay", {"amount": 0}))
    lab.server.say("Done.")
    async with lab.worker(till.agent(lambda amount: 1 / amount > 1)):
        handle = await lab.holdfast.start("clerk", "Pay.")
        await handle.approve((await waiting(handle))[0].id)
        await handle.result(60)
        assert till.paid == [(0, "Bob")]


async def test_a_run_can_require_approval(lab: Lab, till: Till) -> None:
    """A run requires approval for tools that need none by themselves; names that no tool has are refused."""
    lab.server.call_tools(("look", {}))
    lab.server.say("Done.")
    async with lab.worker(till.agent("never")):
        handle = await lab.holdfast.start("clerk", "Look.", approve=["all"])
        await handle.approve((await waiting(handle))[0].id)
        await handle.result(60)
        refused = await lab.holdfast.run("clerk", "Look.", approve=["walk"])
        assert "requires approval for 'walk'" in str(refused.error)


async def test_approvals_out_of_order(lab: Lab, till: Till) -> None:
    """Each call is approved by its own id: it starts at once, and its result is recorded, while siblings wait."""
    lab.server.call_tools(("pay", {"amount": 1}), ("look", {}), ("pay", {"amount": 2}), ("pay", {"amount": 3}))
    lab.server.say("Done.")
    async with lab.worker(till.agent(), max_cached_workflows=100):
        handle = await lab.holdfast.start("clerk", "Pay.")
        first, second, third = await waiting(handle, 3)
        await handle.approve(third.id)

        async def recorded() -> bool:
            return results(await lab.entries(handle.id)) == ["looked", "paid 3 to Bob"]

        await eventually(recorded)
        await handle.deny(second.id)
        await waiting(handle, 1)
        await handle.approve(first.id)
        await handle.result(60)
        assert till.paid == [(3, "Bob"), (1, "Bob")]
        sent = [message for message in lab.server.requests[-1].messages if message["role"] == "tool"]
        assert [message["content"][:6] for message in sent] == ["paid 1", "looked", "error:", "paid 3"]
        await lab.assert_mirrored(handle.id)


async def test_two_people(lab: Lab, till: Till) -> None:
    """The first decision counts, and the second person hears who made it."""
    lab.server.call_tools(("pay", {"amount": 5}), ("pay", {"amount": 6}))
    lab.server.say("Done.")
    async with lab.worker(till.agent(), max_cached_workflows=100):
        handle = await lab.holdfast.start("clerk", "Pay.")
        first, second = await waiting(handle, 2)
        outcomes = await asyncio.gather(
            handle.approve(first.id, by="Ada"), handle.deny(first.id, by="Bob"), return_exceptions=True
        )
        [refusal] = [outcome for outcome in outcomes if isinstance(outcome, CommandRefused)]
        told = str(refusal)
        assert "waits any more: it was approved by Ada" in told or "waits any more: it was denied by Bob" in told
        with pytest.raises(CommandRefused, match=f"those that wait: {second.id}"):
            await handle.approve("9/none")
        await handle.approve(second.id, by="Ada", id="once")
        await handle.approve(second.id, by="Ada", id="once")
        await handle.result(60)


async def test_edited_call_not_repeated(lab: Lab, till: Till) -> None:
    """An edited call is made once, with the person's arguments; the model reads them, the transcript has both."""
    lab.server.call_tools(("pay", {"amount": 5000}))
    lab.server.say("Done.")
    async with lab.worker(till.agent(), max_cached_workflows=100):
        handle = await lab.holdfast.start("clerk", "Pay.")
        [wait] = await waiting(handle)
        for wrong in ({"amount": "5"}, {"amount": 5, "fee": 1}, {}):
            with pytest.raises(CommandRefused, match="does not take these arguments"):
                await handle.approve(wait.id, edit=wrong)
        await handle.approve(wait.id, edit={"amount": 5}, by="Ada")
        await handle.result(60)
        assert till.paid == [(5, "Bob")]
        [asked] = [message for message in lab.server.requests[-1].messages if message.get("tool_calls")]
        assert json.loads(asked["tool_calls"][0]["function"]["arguments"]) == {"amount": 5}
        [told] = [message for message in lab.server.requests[-1].messages if message["role"] == "tool"]
        assert "Ada edited the arguments" in told["content"]
        entries = await lab.entries(handle.id)
        [call] = [call for entry in entries if entry.message for call in entry.message.tool_calls]
        assert json.loads(call.arguments) == {"amount": 5000}
        [ended] = [entry for entry in entries if entry.kind == "wait_ended"]
        assert ended.data["edited"] == {"arguments": {"amount": 5}}


async def test_always_covers_matching_calls(lab: Lab, till: Till) -> None:
    """`always` covers later calls with the same arguments, or with the same values for those that are named."""
    for arguments in ({"amount": 1}, {"amount": 1}, {"amount": 2}, {"amount": 3}, {"amount": 4, "to": "Eve"}):
        lab.server.call_tools(("pay", {"to": "Bob", **arguments}))
    lab.server.say("Done.")
    async with lab.worker(till.agent(), max_cached_workflows=100):
        handle = await lab.holdfast.start("clerk", "Pay.")
        [first] = await waiting(handle)
        with pytest.raises(CommandRefused, match="no argument 'fee'"):
            await handle.approve(first.id, always=["fee"])
        await handle.approve(first.id, always=True)

        async def asked_again() -> bool:
            waits = (await handle.status()).waits_for
            return bool(waits) and waits[0].id != first.id

        await eventually(asked_again)
        [third] = await waiting(handle)
        assert third.data["arguments"] == {"to": "Bob", "amount": 2}
        await handle.approve(third.id, always=["to"])

        async def stranger() -> bool:
            return [wait.data["arguments"].get("to") for wait in (await handle.status()).waits_for] == ["Eve"]

        await eventually(stranger)
        await handle.deny((await waiting(handle))[0].id)
        await handle.result(60)
        assert [amount for amount, _ in till.paid] == [1, 1, 2, 3]


async def test_decision_and_deadline_in_one_task(lab: Lab, till: Till) -> None:
    """If a decision and the deadline reach the run in one workflow task, the decision counts."""
    lab.server.call_tools(("pay", {"amount": 5}))
    lab.server.say("Done.")
    async with lab.worker(till.agent(), max_cached_workflows=100):
        handle = await lab.holdfast.start("clerk", "Pay.", approval_timeout=1.5)
        [wait] = await waiting(handle)
    temporal = lab.client.get_workflow_handle(handle.id)
    await temporal.signal("approve", {"call": wait.id, "by": "Ada"})  # no worker takes it before the deadline

    async def fired() -> bool:
        history = await temporal.fetch_history()
        return any(event.HasField("timer_fired_event_attributes") for event in history.events)

    await eventually(fired)
    async with lab.worker(till.agent(), max_cached_workflows=100):
        await handle.result(60)
        assert till.paid == [(5, "Bob")]
        assert ends(await lab.entries(handle.id)) == [("approved", "Ada")]


async def test_an_undecided_call_is_denied_at_its_deadline(lab: Lab, till: Till) -> None:
    """At its deadline, a call that nobody has decided about is not made, and the agent continues."""
    lab.server.call_tools(("pay", {"amount": 5}))
    lab.server.say("I see.")
    async with lab.worker(till.agent(), max_cached_workflows=100):
        handle = await lab.holdfast.start("clerk", "Pay.", approval_timeout=0.3)
        await handle.result(60)
        entries = await lab.entries(handle.id)
        assert results(entries) == ["error: nobody approved this call in time, so it was not made"]
        assert ends(entries) == [("expired", None)]


async def test_approve_while_paused(lab: Lab, till: Till) -> None:
    """A decision counts while the run is paused, and the call is made when it is resumed; deadlines keep running."""
    lab.server.call_tools(("pay", {"amount": 5}), ("pay", {"amount": 6}))
    lab.server.say("Done.")
    async with lab.worker(till.agent(), max_cached_workflows=100):
        handle = await lab.holdfast.start("clerk", "Pay.", approval_timeout=3)
        first, _ = await waiting(handle, 2)
        await handle.pause(now=True)

        async def is_paused() -> bool:
            return (await handle.status()).status == RunStatus.PAUSED

        await eventually(is_paused)
        assert (await waiting(handle, 2))[0].id == first.id
        await handle.approve(first.id)
        await waiting(handle, 0)  # the other one's deadline has come
        assert till.paid == []
        await handle.resume()
        await handle.result(60)
        assert till.paid == [(5, "Bob")]
        assert [outcome for outcome, _ in ends(await lab.entries(handle.id))] == ["approved", "expired"]


async def test_approve_then_kill_worker(lab: Lab, till: Till) -> None:
    """A decision that no worker was there to hear is carried out by the next one, once."""
    lab.server.call_tools(("pay", {"amount": 5}))
    lab.server.say("Done.")
    async with lab.worker(till.agent(), max_cached_workflows=100):
        handle = await lab.holdfast.start("clerk", "Pay.")
        [wait] = await waiting(handle)
    await lab.client.get_workflow_handle(handle.id).signal("approve", wait.id)
    async with lab.worker(till.agent(), max_cached_workflows=100):
        assert (await handle.result(60)).content == "Done."
        assert till.paid == [(5, "Bob")]


async def test_agent_cannot_approve(lab: Lab) -> None:
    """No tool approves, and no command counts that says that a run sends it."""
    handles: list[RunHandle] = []

    @tool
    async def approve_myself() -> str:
        """Tries to approve."""
        [handle] = handles
        [wait] = await waiting(handle)
        try:
            await handle.approve(wait.id)
        except CommandRefused as error:
            return str(error)
        return "approved"

    @tool(approval="always")
    async def pay() -> str:
        """Pays."""
        return "paid"

    lab.server.call_tools(("pay", {}), ("approve_myself", {}))
    lab.server.say("I see.")
    async with lab.worker(Agent(name="clerk", tools=[approve_myself, pay]), max_cached_workflows=100):
        handles.append(handle := lab.holdfast.handle(f"clerk-{lab.settings.temporal_task_queue}"))
        await lab.holdfast.start("clerk", "Pay.", id=handle.id)
        [wait] = await waiting(handle)

        async def refused() -> bool:
            return any("only people approve" in text for text in results(await lab.entries(handle.id)))

        await eventually(refused)
        for sender in ("run:parent-1", handle.id):
            with pytest.raises(CommandRefused, match="only people decide"):
                await handle.approve(wait.id, by=sender)
        await handle.deny(wait.id, by="Ada")
        await handle.result(60)
        assert ends(await lab.entries(handle.id)) == [("denied", "Ada")]


async def test_a_cancel_withdraws_what_waits(lab: Lab, till: Till) -> None:
    """When a run is cancelled, its open approvals end as withdrawn, and their calls have results."""
    lab.server.call_tools(("pay", {"amount": 5}))
    async with lab.worker(till.agent(), max_cached_workflows=100):
        handle = await lab.holdfast.start("clerk", "Pay.")
        await waiting(handle)
        await handle.cancel()
        await handle.result(60)
        entries = await lab.entries(handle.id)
        assert ends(entries) == [("withdrawn", None)]
        assert len(results(entries)) == 1
        await lab.assert_mirrored(handle.id)


async def test_an_interrupt_withdraws_what_waits(lab: Lab, till: Till) -> None:
    """A message that interrupts the turn withdraws its approvals; the agent reads it next."""
    lab.server.call_tools(("pay", {"amount": 5}))
    lab.server.say("All right.")
    async with lab.worker(till.agent(), max_cached_workflows=100):
        handle = await lab.holdfast.start("clerk", "Pay.")
        await waiting(handle)
        await handle.send("Do not pay.", policy="interrupt")
        assert (await handle.result(60)).content == "All right."
        entries = await lab.entries(handle.id)
        assert ends(entries) == [("withdrawn", None)]
        assert till.paid == []


async def test_approvals_over_continue_as_new(short_histories: Lab, till: Till) -> None:
    """What waits, what was decided and what is covered are carried over; deadlines stay where they were."""
    lab = short_histories
    lab.server.call_tools(("pay", {"amount": 1}), ("look", {}), ("pay", {"amount": 2}))
    lab.server.call_tools(("pay", {"amount": 1}))
    lab.server.say("Done.")
    async with lab.worker(till.agent(), max_cached_workflows=100):
        handle = await lab.holdfast.start("clerk", "Pay.", approval_timeout=600)
        before = await waiting(handle, 2)
        await continued(lab, handle)
        after = await waiting(handle, 2)
        assert after == before
        await handle.approve(after[1].id)
        await handle.approve(after[0].id, always=True)
        assert (await handle.result(60)).content == "Done."
        assert sorted(till.paid) == [(1, "Bob"), (1, "Bob"), (2, "Bob")]
        await lab.assert_mirrored(handle.id)
