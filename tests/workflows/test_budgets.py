"""Budgets of runs: reserved before each call, settled after it, and raised by people while the run waits."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import UTC, date, datetime
from typing import Any

import pytest
from typing_extensions import override

from holdfast import Agent, RunHandle, RunStatus, UsageError, tool
from holdfast.budgets import DayBudget
from holdfast.definition import AgentDefinition
from holdfast.errors import CommandRefused, StoreUnavailable
from holdfast.ports.day_budgets import DayBudgets, Refusal, Spent
from holdfast.pricing import ModelPrice
from holdfast.storage.budgets import MemoryDayBudgets, SurrealDayBudgets
from holdfast.testing import ChatRequest, ChatToolCall, Reply
from holdfast.types import RunResult, Usage
from tests.support.databases import Databases
from tests.support.lab import Lab, contents, eventually
from tests.support.moments import has_status

PRICE = ModelPrice(input=10, output=100)  # dollars per million tokens
USED = Usage(input_tokens=1_000, output_tokens=100)  # costs $0.02


@tool(read_only=True)
def look(number: int = 0) -> str:
    """Looks."""
    return f"seen {number}"


looker = Agent(name="looker", system_prompt="You look.", tools=[look])
short = Agent(name="short", system_prompt="You are brief.", tools=[look], model_settings={"max_tokens": 100})


@pytest.fixture
def priced(lab: Lab) -> Lab:
    """A lab whose model has a price."""
    changes = {"openai_base_url": lab.server.url, "openai_model": "test-model", "model_prices": {"test-model": PRICE}}
    lab.settings = lab.settings.model_copy(update=changes)
    return lab


def look_for_ever(lab: Lab) -> None:
    """The model calls a tool in each turn."""

    def respond(request: ChatRequest) -> Reply:
        return Reply(tool_calls=[ChatToolCall("look", {"number": len(request.messages)})], usage=USED)

    lab.server.respond = respond


async def ended(lab: Lab, agent: str = "short", **options: Any) -> RunResult:
    """The result of a run."""
    return (await (await lab.holdfast.start(agent, "Look.", **options)).result(60)).run


async def waits(handle: RunHandle) -> str:
    """Waits until a run waits for a larger budget, and returns why."""
    found: list[str] = []

    async def is_waiting() -> bool:
        progress = await handle.status()
        found[:] = [wait.what for wait in progress.waits_for if wait.kind == "budget"]
        return progress.status == RunStatus.WAITING and bool(found)

    await eventually(is_waiting)
    return found[0]


@pytest.mark.parametrize(
    ("budget", "calls", "words"),
    [
        ({"cost_usd": 0.05}, 2, ["$0.0500", "$0.0400 used", "--max-cost-usd"]),
        ({"tokens": 3_000}, 2, ["3,000 tokens", "2,200 used", "--max-tokens"]),
        ({"tool_calls": 2}, 3, ["2 tool calls", "2 used", "--max-tool-calls"]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
async def test_a_limit_stops_the_run(priced: Lab, budget: dict[str, Any], calls: int, words: list[str]) -> None:
    """The run ends before the call that could pass a limit, and says which limit it was and how to raise it."""
    look_for_ever(priced)
    async with priced.worker(short):
        result = await ended(priced, budget=budget)
        transcript = contents(await priced.entries(result.run_id))
    assert result.status == RunStatus.FAILED
    assert result.error is not None
    assert result.error.type == "BudgetExceeded"
    assert [word for word in words if word not in result.error.message] == []
    assert len(priced.server.requests) == calls
    assert transcript[-1][0] == "tool", "no call is left without a result"


async def test_no_limit_costs_nothing(priced: Lab) -> None:
    """A run without a budget sends the same request as ever, and records nothing of budgets."""
    priced.server.say("Hello.")
    async with priced.worker(looker):
        handle = await priced.holdfast.start("looker", "Look.")
        await handle.result(60)
    assert "max_tokens" not in priced.server.requests[0].body
    assert (await handle.status()).budget is None
    history = await priced.client.get_workflow_handle(handle.id).fetch_history()
    assert b"budget" not in b"".join(event.SerializeToString() for event in history.events)


async def test_a_reply_gets_no_more_than_is_left(priced: Lab) -> None:
    """Near the limit, the provider is told how long the reply may be; a reply that it cuts off ends the run."""
    priced.server.reply(Reply(text="The answer is", finish_reason="length", usage=USED))
    async with priced.worker(looker):
        result = await ended(priced, "looker", budget={"tokens": 3_000})
    asked = priced.server.requests[0].body["max_tokens"]
    assert 1_024 <= asked < 3_000
    assert result.error is not None
    assert result.error.type == "BudgetExceeded"
    assert result.output == "The answer is"


async def test_a_limit_of_the_reply_stays(priced: Lab) -> None:
    """A limit in the model settings is sent as it is while the budget suffices, and its cut is no matter of budgets."""
    priced.server.reply(Reply(text="The answer is", finish_reason="length", usage=USED))
    async with priced.worker(short):
        result = await ended(priced, budget={"tokens": 1_000_000})
    assert priced.server.requests[0].body["max_tokens"] == 100
    assert result.error is not None
    assert result.error.type == "AnswerCutOff"


async def test_the_budget_of_the_agent(priced: Lab) -> None:
    """An agent has a budget of its own, whose fields a run overrides."""
    look_for_ever(priced)
    careful = Agent(name="careful", tools=[look], model_settings={"max_tokens": 100}, budget={"tool_calls": 1})
    async with priced.worker(careful):
        first = await ended(priced, "careful")
        second = await ended(priced, "careful", budget={"tool_calls": 2})
        third = await ended(priced, "careful", budget={"tokens": 1_500})
    assert [result.tool_calls for result in (first, second, third)] == [1, 2, 1]
    assert third.error is not None
    assert "1,500 tokens" in third.error.message


async def test_raise_while_waiting(priced: Lab) -> None:
    """With `ask`, the run waits for a person at its limit; raised, it continues, and waits again at the next one."""
    look_for_ever(priced)
    async with priced.worker(short):
        handle = await priced.holdfast.start("short", "Look.", budget={"tokens": 1_500, "on_limit": "ask"})
        assert "1,500 tokens" in await waits(handle)
        progress = await handle.status()
        assert progress.deadline is None, "the clock stands still"
        assert progress.budget is not None
        assert progress.spent is not None
        assert (progress.budget.tokens, progress.spent.tokens) == (1_500, 1_100)
        pending = await priced.client.get_workflow_handle(handle.id).query("pending_approvals")
        assert [wait["kind"] for wait in pending] == ["budget"]
        with pytest.raises(CommandRefused, match="1500 already"):
            await handle.raise_budget(tokens=1_500)
        with pytest.raises(CommandRefused, match="no limit of its cost"):
            await handle.raise_budget(cost_usd=5)
        receipt = await handle.raise_budget(tokens=2_600, id="more", by="Ada")
        assert (await handle.raise_budget(tokens=2_600, id="more", by="Ada")).seq == receipt.seq
        await eventually(lambda: _requests(priced, 2))
        assert "2,600 tokens" in await waits(handle)
        priced.server.respond = None
        priced.server.say("Done.")
        await handle.raise_budget(tokens=10_000, by="Ada")
        result = await handle.result(60)
        assert result.content == "Done."
        entries = await priced.entries(handle.id)
        outcomes = [entry.data for entry in entries if entry.kind == "wait_ended"]
        assert [(data["outcome"], data["by"]) for data in outcomes] == [("raised", "Ada")] * 2
        await priced.assert_mirrored(handle.id)


async def _requests(lab: Lab, number: int) -> bool:
    return len(lab.server.requests) >= number


async def test_ask_for_turns_and_tool_calls(priced: Lab) -> None:
    """A person is asked for more turns and more tool calls too; the calls that are allowed are made first."""
    priced.server.call_tools(("look", {"number": 1}), ("look", {"number": 2}), ("look", {"number": 3}))
    async with priced.worker(looker):
        budget = {"tool_calls": 2, "on_limit": "ask"}
        handle = await priced.holdfast.start("looker", "Look.", budget=budget, max_turns=1)
        assert "2 tool calls" in await waits(handle)
        assert contents(await priced.entries(handle.id))[-2:] == [("tool", "seen 1"), ("tool", "seen 2")]
        priced.server.say("Done.")
        await handle.raise_budget(tool_calls=3)
        await eventually(lambda: _waits_for(handle, "1 turns"))
        await handle.raise_budget(turns=2)
        assert (await handle.result(60)).content == "Done."


async def _waits_for(handle: RunHandle, words: str) -> bool:
    return any(words in wait.what for wait in (await handle.status()).waits_for)


async def test_cancel_while_waiting_for_a_budget(priced: Lab) -> None:
    """A run that waits for a budget can be cancelled."""
    async with priced.worker(looker):
        handle = await priced.holdfast.start("looker", "Look.", budget={"tokens": 100, "on_limit": "ask"})
        await waits(handle)
        await handle.cancel()
        assert (await handle.result(60)).status == RunStatus.CANCELLED


async def test_commands_to_a_run_that_waits_for_a_budget(priced: Lab) -> None:
    """It can be paused, resumed and interrupted; raised while it is paused, it continues when it is resumed."""
    priced.server.say("Done.")
    async with priced.worker(looker):
        handle = await priced.holdfast.start("looker", "Look.", budget={"tokens": 100, "on_limit": "ask"})
        await waits(handle)
        await handle.interrupt()
        await has_status(handle, RunStatus.PAUSED)
        assert [wait.kind for wait in (await handle.status()).waits_for] == ["resume"]
        await handle.resume()
        await waits(handle)
        await handle.pause()
        await handle.raise_budget(tokens=100_000)
        await has_status(handle, RunStatus.PAUSED)
        assert not priced.server.requests
        await handle.resume()
        assert (await handle.result(60)).content == "Done."
        outcomes = [entry.data["outcome"] for entry in await priced.entries(handle.id) if entry.kind == "wait_ended"]
        assert outcomes == ["withdrawn", "raised"]


async def test_restore_while_waiting_for_a_budget(priced: Lab) -> None:
    """A run that waits for a budget goes back at once, also while it is paused; what it lacks then is asked anew."""
    look_for_ever(priced)
    async with priced.worker(short):
        handle = await priced.holdfast.start("short", "Look.", budget={"tokens": 1_500, "on_limit": "ask"})
        await waits(handle)
        await handle.restore_from_checkpoint("turn-1")
        await eventually(lambda: _kinds(priced, handle, "wait", 2))
        await handle.pause()
        await handle.restore_from_checkpoint("turn-1")
        await eventually(lambda: _kinds(priced, handle, "restored", 2))
        assert [wait.kind for wait in (await handle.status()).waits_for] == ["resume"]
        priced.server.respond = None
        priced.server.say("Done.")
        await handle.raise_budget(tokens=10_000)
        await handle.resume()
        assert (await handle.result(60)).content == "Done."
        outcomes = [entry.data["outcome"] for entry in await priced.entries(handle.id) if entry.kind == "wait_ended"]
        assert outcomes == ["withdrawn", "withdrawn"]
        await priced.assert_mirrored(handle.id)


async def _kinds(lab: Lab, handle: RunHandle, kind: str, number: int) -> bool:
    return [entry.kind for entry in await lab.entries(handle.id)].count(kind) == number


async def test_running_time_can_be_raised(priced: Lab) -> None:
    """A run whose time limit is raised in time runs on."""
    priced.server.reply(Reply(text="Done.", delay=2.0))
    async with priced.worker(looker, max_cached_workflows=100):
        handle = await priced.holdfast.start("looker", "Look.", timeout=1.5)
        await priced.server.wait_for_requests(1)
        await handle.raise_budget(seconds=60)
        assert (await handle.result(60)).content == "Done."


async def test_an_unknown_price_is_refused(lab: Lab) -> None:
    """A limit of the cost needs a price, or a word that calls without one do not count."""
    changes = {"openai_base_url": lab.server.url, "openai_model": "test-model"}
    lab.settings = lab.settings.model_copy(update=changes)
    async with lab.worker(looker):
        refused = await ended(lab, "looker", budget={"cost_usd": 1})
        lab.server.say("Hello.")
        allowed = await ended(lab, "looker", budget={"cost_usd": 1, "allow_unpriced": True})
    assert refused.error is not None
    assert refused.error.type == "InvalidRunRequest"
    for words in ("'test-model'", "MODEL_PRICES", "--allow-unpriced"):
        assert words in refused.error.message
    assert (allowed.output, allowed.usage.unpriced) == ("Hello.", 1)


@pytest.mark.parametrize(
    ("budget", "words"),
    [({"cost": 1}, "'cost' is not a field"), ({"cost_usd": 0}, "budget.cost_usd=0"), ({"on_limit": "beg"}, "on_limit")],
)
async def test_a_budget_that_is_not_accepted(lab: Lab, budget: dict[str, Any], words: str) -> None:
    """A budget with an unknown field or value is refused before the run starts."""
    with pytest.raises(UsageError, match=words):
        await lab.holdfast.start("looker", "Look.", budget=budget)
    with pytest.raises(UsageError, match=words):
        Agent(name="a", budget=budget)


@pytest.fixture(params=["memory", "surrealkv", "ws"])
async def shared(request: pytest.FixtureRequest, databases: Databases) -> DayBudgets:
    """Budgets per day, on each kind of database."""
    return MemoryDayBudgets() if request.param == "memory" else SurrealDayBudgets(databases.new(request.param))


async def test_many_runs_one_tag(priced: Lab, shared: DayBudgets) -> None:
    """Of many concurrent runs with one tag, those that fit into its daily budget are made, and no more."""
    limit = 0.1101  # ten calls: some $0.0006 for the input of each, and $0.01 for its reply
    priced.settings = priced.settings.model_copy(
        update={"budgets": {"tag:team=search": DayBudget(cost_usd_per_day=limit)}, "max_concurrent_agents": 20}
    )

    def respond(_request: ChatRequest) -> Reply:
        return Reply(text="Hello.", usage=Usage(input_tokens=50, output_tokens=100))

    priced.server.respond = respond
    async with priced.worker(short, max_cached_workflows=100, day_budgets=shared):
        tags = {"team": "search"}
        results = await asyncio.gather(*(ended(priced, tags=tags) for _ in range(20)))
        other = await ended(priced, tags={"team": "other"})
    spent = sum(result.usage.cost_usd for result in results)
    assert 0.09 < spent <= limit
    failed = [result.error for result in results if result.error]
    assert {error.type for error in failed} == {"BudgetExceeded"}
    assert "tag:team=search" in failed[0].message
    use = (await shared.used(datetime.now(UTC).date(), ["tag:team=search"]))["tag:team=search"]
    assert use.held == Spent(), "what was not used is given back"
    assert use.used.cost_usd == pytest.approx(spent)
    assert other.error is None


async def test_a_daily_budget_asks(priced: Lab) -> None:
    """A run that asks waits for the next day, or until a person lets it try again."""
    priced.settings = priced.settings.model_copy(update={"budgets": {"all": DayBudget(tokens_per_day=1_500)}})
    look_for_ever(priced)
    async with priced.worker(short):
        handle = await priced.holdfast.start("short", "Look.", budget={"on_limit": "ask"})
        assert "daily budget of 'all'" in await waits(handle)
        [wait] = (await handle.status()).waits_for
        assert wait.until is not None
        await handle.raise_budget()
        await eventually(lambda: _ended_waits(priced, handle, 1))
        assert "daily budget" in await waits(handle)
        await handle.cancel()
        await handle.result(60)


async def _ended_waits(lab: Lab, handle: RunHandle, number: int) -> bool:
    return len([entry for entry in await lab.entries(handle.id) if entry.kind == "wait_ended"]) >= number


class FirstUnavailable(MemoryDayBudgets):
    """Budgets whose store is unavailable at first, and at the end of each call."""

    def __init__(self) -> None:
        super().__init__()
        self.attempts = 0

    @override
    async def take(self, day: date, *arguments: Any, **options: Any) -> Refusal | None:
        self.attempts += 1
        if self.attempts == 1:
            raise StoreUnavailable("the store is switched off")
        return await super().take(day, *arguments, **options)

    @override
    async def settle(self, day: date, scopes: Collection[str], *, holder: str, spent: Spent) -> None:
        raise StoreUnavailable("the store is switched off")


async def test_a_daily_budget_whose_store_is_unavailable(priced: Lab) -> None:
    """No call is made without a lease; a reply is not lost because its lease cannot be settled."""
    priced.settings = priced.settings.model_copy(update={"budgets": {"all": DayBudget(tokens_per_day=100_000)}})
    priced.server.say("Hello.")
    budgets = FirstUnavailable()
    async with priced.worker(short, day_budgets=budgets):
        result = await ended(priced)
    assert (result.output, budgets.attempts, len(priced.server.requests)) == ("Hello.", 2, 1)
    [use] = (await budgets.used(datetime.now(UTC).date(), ["all"])).values()
    assert use.held.tokens > 0, "the lease counts until it expires"


async def test_the_budget_of_a_declared_agent(priced: Lab) -> None:
    """A declarative definition has a budget, as an agent in Python has."""
    look_for_ever(priced)
    fields = {"name": "declared", "tools": ["look"], "model_settings": {"max_tokens": 100}}
    declared = AgentDefinition.model_validate(fields | {"budget": {"tool_calls": 1}})
    async with priced.worker(looker):
        handle = await priced.holdfast.start(declared, "Look.")
        result = (await handle.result(60)).run
    assert result.error is not None
    assert "1 tool calls" in result.error.message
    with pytest.raises(ValueError, match="'cost' is not a field"):
        AgentDefinition.model_validate(fields | {"budget": {"cost": 1}})


async def test_the_budget_of_a_fork(priced: Lab) -> None:
    """A fork has the budget of its run, or another one, and counts from 0."""
    look_for_ever(priced)
    async with priced.worker(short):
        origin = await priced.holdfast.start("short", "Look.", budget={"tokens": 2_500})
        await origin.result(60)
        made = len(priced.server.requests)
        assert made == 2
        await (await origin.fork(1)).result(60)
        assert len(priced.server.requests) - made == 2, "the same budget suffices for as much again"
        other = await (await origin.fork(1, budget={"tool_calls": 1})).result(60)
    assert other.error is not None
    assert "1 tool calls" in other.error


async def test_a_budget_over_continue_as_new(short_histories: Lab) -> None:
    """What is used, the limits and the size of the context are carried when the run continues as new."""
    lab = short_histories
    lab.settings = lab.settings.model_copy(update={"openai_base_url": lab.server.url, "openai_model": "test-model"})
    look_for_ever(lab)
    limit = 60 * USED.total_tokens
    async with lab.worker(short, max_cached_workflows=100):
        handle = await lab.holdfast.start("short", "Look.", budget={"tokens": limit, "on_limit": "ask"}, max_turns=100)
        assert f"{limit:,} tokens" in await waits(handle)
        progress = await handle.status()
        assert limit - 2 * USED.total_tokens < progress.usage.total_tokens <= limit
        first = (await lab.client.get_workflow_handle(handle.id).describe()).raw_description
        assert first.workflow_execution_info.first_run_id != first.workflow_execution_info.execution.run_id
        lab.server.respond = None
        lab.server.say("Done.")
        await handle.raise_budget(tokens=2 * limit)
        assert (await handle.result(60)).content == "Done."
