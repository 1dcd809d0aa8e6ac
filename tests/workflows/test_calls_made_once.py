"""Calls that must not take effect twice: each is claimed in the ledger before it begins, and its result is recorded."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest

from holdfast import Agent, Happened, RunHandle, RunStatus, Tool, ToolContext, ToolError, names, tool
from holdfast.cli.render.doctor_text import difference_lines
from holdfast.errors import CommandRefused
from holdfast.ops.doctor import Verifier
from holdfast.ports.ledger import CallKey, Ledger, LedgerEntry, Recorded
from holdfast.progress import Wait
from holdfast.protocol import RunRequest
from holdfast.storage.encryption import KeyRing, new_key
from holdfast.storage.ledger import MemoryLedger
from holdfast.temporal.payload_limits import PayloadLimits
from holdfast.temporal.run_log import TemporalRunLog
from holdfast.testing import ChatToolCall, Reply
from holdfast.types import Entry, RunId, ToolResult
from tests.support.lab import Lab, eventually
from tests.support.ledgers import LossyLedger, SwitchedLedger
from tests.support.stored_lab import open_stored_lab


class Bank:
    """Payments, as a tool makes them."""

    def __init__(self) -> None:
        self.paid: list[int] = []

    def agent(self, *tools: Tool, **options: Any) -> Agent:
        """An agent that can pay, and has further tools; `options` are those of the payment."""

        @tool(destructive=True, **options)
        async def pay(amount: int) -> str:
            """Pays."""
            self.paid.append(amount)
            return f"receipt {len(self.paid)}"

        return Agent(name="payer", tools=[pay, *tools])


@pytest.fixture
def bank() -> Bank:
    """Payments of one test."""
    return Bank()


def results(entries: list[Entry]) -> list[tuple[str, str | None]]:
    """What the model was told of each call, and how that is known."""
    return [
        (entry.data["message"]["content"], entry.data.get("outcome"))
        for entry in entries
        if entry.kind == "tool_result"
    ]


async def paid(lab: Lab, agent: Agent, ledger: Ledger | None, *calls: int) -> list[tuple[str, str | None]]:
    """Runs an agent that pays these amounts in one turn, and returns the results."""
    lab.server.call_tools(*(("pay", {"amount": amount}) for amount in calls or (5,)))
    lab.server.say("Paid.")
    async with lab.worker(agent, ledger=ledger):
        result = await lab.holdfast.run("payer", "Pay.")
        return results(await lab.entries(result.run_id))


async def test_a_call_costs_one_claim_and_one_result(lab: Lab, bank: Bank) -> None:
    """Each call is claimed once and recorded once, also if two of a turn are equal; its entry says nothing of it."""
    ledger = SwitchedLedger()
    assert sorted(await paid(lab, bank.agent(), ledger, 5, 5)) == [("receipt 1", None), ("receipt 2", None)]
    assert sorted(ledger.asked) == ["claim", "claim", "record", "record"]


async def test_repeatable_tools_need_no_ledger(lab: Lab) -> None:
    """A read-only or idempotent tool asks the ledger nothing."""

    @tool(idempotent=True)
    async def pay(amount: int) -> str:
        """Pays."""
        return f"paid {amount}"

    ledger = SwitchedLedger(on=False)
    assert await paid(lab, Agent(name="payer", tools=[pay]), ledger) == [("paid 5", None)]
    assert ledger.asked == []


@pytest.mark.parametrize("error", [ToolError("no funds"), ValueError("no funds")])
async def test_an_error_is_a_result(lab: Lab, error: Exception) -> None:
    """What a tool raises is recorded too: an error does not say that nothing happened."""

    @tool
    def pay(amount: int) -> str:
        """Fails."""
        assert amount
        raise error

    ledger = SwitchedLedger()
    [(told, outcome)] = await paid(lab, Agent(name="payer", tools=[pay]), ledger)
    assert "no funds" in told
    assert (outcome, ledger.asked) == (None, ["claim", "record"])


async def test_without_the_store_a_call_is_made_once_and_says_so(lab: Lab, bank: Bank) -> None:
    """While the store is unavailable, the call is made without a claim, in a single attempt."""
    assert await paid(lab, bank.agent(), SwitchedLedger(on=False)) == [("receipt 1", "unclaimed")]
    assert bank.paid == [5]


async def test_without_a_ledger_nothing_changes(lab: Lab, bank: Bank) -> None:
    """A worker without a ledger, as with storage in memory, calls once and records nothing about it."""
    assert await paid(lab, bank.agent(), None) == [("receipt 1", None)]


async def test_a_required_ledger_makes_calls_wait(lab: Lab, bank: Bank) -> None:
    """With TOOL_LEDGER=require a call waits for the store, and the run says so."""
    ledger, lab.settings = SwitchedLedger(on=False), lab.settings.model_copy(update={"tool_ledger": "require"})
    lab.server.call_tools(("pay", {"amount": 5}))
    lab.server.say("Paid.")
    async with lab.worker(bank.agent(), ledger=ledger):
        run = await lab.holdfast.start("payer", "Pay.")

        async def waits() -> bool:
            return "TOOL_LEDGER=require" in (await run.status()).doing

        await eventually(waits)
        assert bank.paid == []
        ledger.on = True
        await run.result()
        assert results(await lab.entries(run.id)) == [("receipt 1", None)]


async def test_a_result_that_cannot_be_recorded_is_returned(lab: Lab) -> None:
    """If the store fails after the call, the result goes to Temporal without it."""
    ledger = SwitchedLedger()

    @tool
    async def pay(amount: int) -> str:
        """Pays, and pulls the plug."""
        ledger.on = False
        return f"paid {amount}"

    assert await paid(lab, Agent(name="payer", tools=[pay]), ledger) == [("paid 5", None)]


async def test_a_lost_call_is_unknown(lab: Lab, bank: Bank) -> None:
    """A call that a lost worker has claimed is not made again, and the model is told that its outcome is unknown."""
    [(told, outcome)] = await paid(lab, bank.agent(), LossyLedger())
    assert "it is unknown whether the call took effect" in told
    assert (outcome, bank.paid) == ("unknown", [])


@dataclass(frozen=True)
class Verdict:
    """What `verify` says of a lost call, and what follows."""

    said: object
    told: str
    outcome: str | None
    calls: int = 0


VERDICTS = (
    Verdict(Happened("receipt 7"), "receipt 7", "verified"),
    Verdict(Happened({"receipt": 7}), '{"receipt":7}', "verified"),
    Verdict(True, "done", "verified"),
    Verdict(False, "receipt 1", None, calls=1),
    Verdict(None, "unknown whether", "unknown"),
    Verdict("what?", "unknown whether", "unknown"),
    Verdict(ConnectionError("the bank is closed"), "unknown whether", "unknown"),
)


async def test_the_doctor_lists_lost_calls(lab: Lab, bank: Bank) -> None:
    """`doctor verify` of a run names the calls whose outcome was reported as unknown."""
    ledger = LossyLedger()
    lab.server.call_tools(("pay", {"amount": 5}))
    lab.server.say("Paid.")
    async with lab.worker(bank.agent(), ledger=ledger):
        run = await lab.holdfast.run("payer", "Pay.")
        await lab.assert_mirrored(run.run_id)
        report = await Verifier(lab.store, TemporalRunLog(lab.client), ledger=ledger).verify(run.run_id)
    assert report.verdict == "healthy"
    assert report.lost_calls == (
        "call 0 of message 2 (pay) was lost with its worker: nobody knows whether it took effect",
    )
    assert difference_lines(report, 200) == [f"{run.run_id}: {report.lost_calls[0]}"]


@pytest.mark.parametrize("verdict", VERDICTS, ids=lambda verdict: str(verdict.said))
@pytest.mark.parametrize("is_async", [True, False], ids=["async", "blocking"])
async def test_a_lost_call_is_verified(lab: Lab, bank: Bank, verdict: Verdict, is_async: bool) -> None:
    """The tool's own `verify` decides about a lost call; if it fails or does not know, the outcome is unknown."""
    asked: list[int] = []

    def answer(amount: int) -> Any:
        asked.append(amount)
        if isinstance(verdict.said, Exception):
            raise verdict.said
        return verdict.said

    async def answer_later(amount: int) -> Any:
        await asyncio.sleep(0)
        return answer(amount)

    agent = bank.agent(verify=answer_later if is_async else answer)
    [(content, outcome)] = await paid(lab, agent, LossyLedger())
    assert verdict.told in content
    assert (outcome, asked, len(bank.paid)) == (verdict.outcome, [5], verdict.calls)


async def test_verify_of_a_method_has_its_instance(lab: Lab) -> None:
    """`verify` of a method gets `self` and the context, and only the arguments that it names."""

    class Payer(Agent):
        name = "payer"
        receipts = {5: "receipt 7"}

        def was_paid(self, amount: int, context: ToolContext) -> Happened | None:
            found = self.receipts.get(amount)
            return Happened(f"{found} of {context.agent}") if found else None

        @tool(verify=was_paid)
        def pay(self, amount: int, context: ToolContext, note: str = "") -> str:
            """Pays."""
            raise AssertionError(f"it was paid: {amount}, {note}, {context}")

    assert await paid(lab, Payer(), LossyLedger()) == [("receipt 7 of payer", "verified")]


class Resets:
    """Resets runs, as the button in Temporal's UI does."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    async def reset(self, run_id: RunId, activity: str) -> None:
        """Resets a run to right before it schedules the first activity of a type."""
        handle = self._lab.client.get_workflow_handle(run_id)
        scheduled = [
            event.activity_task_scheduled_event_attributes
            async for event in handle.fetch_history_events()
            if event.activity_task_scheduled_event_attributes.activity_type.name == activity
        ]
        await self._lab.client.workflow_service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(
                namespace=self._lab.client.namespace,
                workflow_execution=WorkflowExecution(workflow_id=run_id, run_id=(await handle.describe()).run_id),
                reason="another try",
                workflow_task_finish_event_id=scheduled[0].workflow_task_completed_event_id,
                request_id=str(uuid.uuid4()),
            )
        )


@pytest.mark.parametrize("before", ["model.call", "tool.pay"])
async def test_reset_does_not_repeat(lab: Lab, bank: Bank, before: str) -> None:
    """After a reset of a run, the ledger answers the same call with its result, and the entry says so."""
    ledger = SwitchedLedger()
    lab.server.call_tools(("pay", {"amount": 5}))
    lab.server.say("Paid.")
    async with lab.worker(bank.agent(), ledger=ledger):
        first = await lab.holdfast.run("payer", "Pay.")
        assert results(await lab.entries(first.run_id)) == [("receipt 1", None)]
        if before == "model.call":
            lab.server.call_tools(("pay", {"amount": 5}))
        lab.server.say("Paid, still.")
        await Resets(lab).reset(first.run_id, before)
        assert (await lab.holdfast.handle(first.run_id).result(60)).content == "Paid, still."
        assert results(await lab.entries(first.run_id)) == [("receipt 1", "recorded")]
        assert bank.paid == [5]


async def test_after_a_reset_another_call_is_made(lab: Lab, bank: Bank) -> None:
    """After a reset, a call with other arguments is another call; one that is written differently is the same."""
    lab.server.call_tools(("pay", {"amount": 5}))
    lab.server.say("Paid.")
    async with lab.worker(bank.agent(), ledger=MemoryLedger()):
        first = await lab.holdfast.run("payer", "Pay.")
        for arguments, told in [('{"amount": 6}', ("receipt 2", None)), ('{ "amount":5 }', ("receipt 1", "recorded"))]:
            lab.server.reply(Reply(tool_calls=[ChatToolCall("pay", arguments)]))
            lab.server.say("Paid.")
            await Resets(lab).reset(first.run_id, "model.call")
            await lab.holdfast.handle(first.run_id).result(60)
            assert results(await lab.entries(first.run_id)) == [told]
    assert bank.paid == [5, 6]


async def test_a_later_run_of_the_same_id_calls_again(lab: Lab, bank: Bank) -> None:
    """Two runs with one id, one after the other, have separate calls."""
    queue = lab.settings.temporal_task_queue
    async with lab.worker(bank.agent(), ledger=MemoryLedger()):
        for _ in range(2):
            lab.server.call_tools(("pay", {"amount": 5}))
            lab.server.say("Paid.")
            request = RunRequest(agent="payer", input="Pay.")
            await lab.client.execute_workflow(names.AGENT_RUN, request, id=queue, task_queue=queue)
            assert results(await lab.entries(queue))[-1][1] is None
    assert bank.paid == [5, 5]


async def test_a_late_result_is_used(lab: Lab, bank: Bank) -> None:
    """An attempt that finds the claim of another one waits for its result, as that worker may only be slow."""

    class SlowWorker(MemoryLedger):
        """A ledger in which another worker has just claimed each call, and records its result on the third look."""

        looks = 0

        async def claim(self, key: CallKey, *, owner: str, tool: str, instead_of: str | None = None) -> LedgerEntry:
            await super().claim(key, owner="slow", tool=tool)
            return await super().claim(key, owner=owner, tool=tool, instead_of=instead_of)

        async def find(self, key: CallKey) -> LedgerEntry | None:
            self.looks += 1
            if self.looks == 3:
                limits = PayloadLimits(lab.client.data_converter, 1_000_000)
                await self.record(key, owner="slow", result=await limits.pack(ToolResult(content="receipt 7")))
            return await super().find(key)

    assert await paid(lab, bank.agent(), SlowWorker()) == [("receipt 7", "recorded")]
    assert bank.paid == []


async def test_a_large_secret_result_is_recorded_as_temporal_stores_it(temporal_address: str, tmp_path: Path) -> None:
    """The ledger has a large result by reference, a small one encrypted, and both come back after a reset."""
    ledger = KeptLedger()

    @tool
    def tell(length: int) -> str:
        """Tells a secret."""
        return SECRET * length

    keys = KeyRing.parse(new_key())
    async with open_stored_lab(temporal_address, tmp_path, keys=keys) as (lab, _):
        lab.server.call_tools(("tell", {"length": 1}), ("tell", {"length": 20_000}))
        lab.server.say("Told.")
        async with lab.worker(Agent(name="teller", tools=[tell]), ledger=ledger):
            run = await lab.holdfast.run("teller", "Tell.")
            assert len(ledger.results) == 2
            for packed in ledger.results:
                assert len(packed) < 1_000
                assert SECRET.encode() not in packed
            lab.server.say("Told, still.")
            await Resets(lab).reset(run.run_id, "tool.tell")
            await lab.holdfast.handle(run.run_id).result(60)
            assert results(await lab.entries(run.run_id)) == [(SECRET, "recorded"), (SECRET * 20_000, "recorded")]


SECRET = "xylophone quartz "


class KeptLedger(MemoryLedger):
    """A ledger whose results a test can see."""

    def __init__(self) -> None:
        super().__init__()
        self.results: list[bytes] = []

    async def record(self, key: CallKey, *, owner: str, result: bytes) -> Recorded:
        self.results.append(result)
        return await super().record(key, owner=owner, result=result)


async def asked(lab: Lab, run: RunHandle) -> Wait:
    """Waits until a run asks a person about a call."""

    async def waits() -> bool:
        return (await run.status()).status == RunStatus.WAITING

    await eventually(waits)
    [wait] = (await run.status()).waits_for
    return wait


@pytest.mark.parametrize(
    ("resolution", "told", "calls"),
    [
        ({"happened": True, "result": "receipt 7"}, ("receipt 7", "resolved"), []),
        ({"happened": True}, ("done", "resolved"), []),
        ({"happened": False}, ("receipt 1", None), [5]),
    ],
    ids=["happened", "happened without a result", "did not"],
)
async def test_a_person_resolves_a_lost_call(
    lab: Lab, bank: Bank, resolution: dict[str, Any], told: tuple[str, str | None], calls: list[int]
) -> None:
    """With `on_unknown="ask"` the run waits for a person, whose word is recorded in the log and in the ledger."""
    lab.server.call_tools(("pay", {"amount": 5}))
    lab.server.say("Paid.")
    async with lab.worker(bank.agent(on_unknown="ask"), ledger=LossyLedger()):
        run = await lab.holdfast.start("payer", "Pay.")
        wait = await asked(lab, run)
        assert (wait.kind, wait.data["tool"], wait.data["arguments"]) == ("call", "pay", '{"amount": 5}')
        with pytest.raises(CommandRefused, match="no lost call 'other' waits"):
            await run.resolve("other", happened=True)
        with pytest.raises(CommandRefused, match="has no result"):
            await run.resolve(wait.id, happened=False, result="receipt")
        await run.resolve(wait.data["call"], **resolution, by="Ada")
        await run.result(60)
        entries = await lab.entries(run.id)
        assert (results(entries), bank.paid) == ([told], calls)
        [ended] = [entry.data for entry in entries if entry.kind == "wait_ended"]
        assert (ended["outcome"], ended["by"]) == ("happened" if resolution["happened"] else "did not happen", "Ada")
        await lab.assert_mirrored(run.id)
        lab.server.say("Paid, still.")
        await Resets(lab).reset(run.id, "tool.pay")
        await lab.holdfast.handle(run.id).result(60)
        assert results(await lab.entries(run.id)) == [(told[0], "recorded")]
    assert bank.paid == calls


async def test_a_wait_for_a_resolution_is_withdrawn(lab: Lab, bank: Bank) -> None:
    """A cancel ends the wait; the call's outcome stays unknown."""
    lab.server.call_tools(("pay", {"amount": 5}))
    async with lab.worker(bank.agent(on_unknown="ask"), ledger=LossyLedger()):
        run = await lab.holdfast.start("payer", "Pay.")
        await asked(lab, run)
        await run.cancel()
        await run.result(60)
        entries = await lab.entries(run.id)
        [(content, outcome)] = results(entries)
        assert "it is unknown whether" in content
        assert outcome == "unknown"
        assert [entry.data["outcome"] for entry in entries if entry.kind == "wait_ended"] == ["withdrawn"]


async def test_a_wait_for_a_resolution_is_carried_over_continue_as_new(short_histories: Lab, bank: Bank) -> None:
    """A run that asks a person continues as new, asks on under the same id, and acts on the answer once."""
    lab = short_histories
    lab.server.call_tools(("pay", {"amount": 5}))
    lab.server.say("Paid.")
    async with lab.worker(bank.agent(on_unknown="ask"), ledger=LossyLedger(), max_cached_workflows=100):
        run = await lab.holdfast.start("payer", "Pay.", timeout=300)
        wait, first = await asked(lab, run), await lab.client.get_workflow_handle(run.id).describe()

        async def continues() -> bool:
            await run.send("Hurry.")
            return (await lab.client.get_workflow_handle(run.id).describe()).run_id != first.run_id

        await eventually(continues)
        assert (await asked(lab, run)).id == wait.id
        await run.resolve(wait.id, happened=False)
        await run.result(60)
        told = [entry async for entry in run.entries()]
        assert (results(told), bank.paid) == ([("receipt 1", None)], [5])
        assert [entry.kind for entry in told].count("wait") == 1
