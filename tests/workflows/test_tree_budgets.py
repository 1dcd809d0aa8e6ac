"""Budgets of trees: a run sets a part of its budget aside for each child, and gets the rest back."""

from __future__ import annotations

import pytest

from holdfast import Agent, RunStatus, tool
from holdfast.errors import ErrorType
from holdfast.pricing import ModelPrice
from holdfast.testing import ChatRequest, ChatToolCall, Reply
from holdfast.types import Usage
from tests.support.lab import Lab, contents, eventually
from tests.support.moments import streaming
from tests.support.tiers import slow
from tests.support.trees import LONG, Cast, asks, assert_replays, exists

CHILDREN = 20
PRICE = ModelPrice(input=10, output=100)  # dollars per million tokens
USED = Usage(input_tokens=20, output_tokens=100)  # costs $0.0102
BRIEF = {"max_tokens": 100}


@tool(read_only=True)
def look(number: int = 0) -> str:
    """Looks."""
    return f"seen {number}"


clerk = Agent(name="clerk", system_prompt="clerk", tools=[look], model_settings=BRIEF)
boss = Agent(name="boss", system_prompt="boss", agents=[clerk], model_settings=BRIEF)


@pytest.fixture
def priced(lab: Lab) -> Lab:
    """A lab whose model has a price."""
    changes = {"openai_base_url": lab.server.url, "openai_model": "test-model", "model_prices": {"test-model": PRICE}}
    lab.settings = lab.settings.model_copy(update=changes)
    return lab


@pytest.mark.parametrize(
    "budget",
    [
        {"tokens": 10_000, "cost_usd": 1.0, "tool_calls": 70},
        *slow({"tokens": 20_000}, {"cost_usd": 0.5}, {"tool_calls": 100}),
    ],
    ids="-".join,
)
async def test_20_parallel_children_never_over(priced: Lab, budget: dict[str, float]) -> None:
    """Twenty children that would never stop use no more together, with their parent, than its budget; it answers."""
    lab = priced

    def respond(request: ChatRequest) -> Reply:
        if request.messages[0]["content"] == "boss":
            if len(request.messages) > 2:
                return Reply("Enough.", usage=USED)
            return Reply(tool_calls=asks("clerk", *map(str, range(CHILDREN))).tool_calls, usage=USED)
        return Reply(tool_calls=[ChatToolCall("look", {"number": len(request.messages)})], usage=USED)

    lab.server.respond = respond
    async with lab.worker(boss, max_cached_workflows=100):
        handle = await lab.holdfast.start("boss", "Ask all.", budget=budget)
        result = (await handle.result(60)).run
        assert (result.status, result.output) == (RunStatus.COMPLETED, "Enough."), result.error
        tree = result.tree_usage
        assert tree is not None
        assert len(result.children) == CHILDREN
        used = {
            "tokens": tree.total_tokens,
            "cost_usd": tree.cost_usd,
            "tool_calls": result.tool_calls + result.tree_tool_calls,
        }
        for limit, most in budget.items():
            assert used[limit] <= most, limit
        assert any(used[limit] > most / 2 for limit, most in budget.items()), "the children use what they may"
        told = [text for role, text in contents(await lab.entries(handle.id)) if role == "tool"]
        assert all(ErrorType.BUDGET_EXCEEDED in text for text in told)
        progress = await handle.status()
        assert progress.tree_usage == tree
        await assert_replays(lab, handle)


async def test_the_rest_of_a_part_is_given_back(priced: Lab) -> None:
    """A child that uses little leaves the rest to the next one."""
    lab = priced
    frugal = Agent(name="frugal", system_prompt="frugal", model_settings=BRIEF)
    owner = Agent(name="owner", system_prompt="owner", agents=[frugal], model_settings=BRIEF)
    answer = Reply("Little.", usage=USED)
    again = [Reply(tool_calls=asks("frugal", f"{number}").tool_calls, usage=USED) for number in range(6)]
    Cast(lab, owner=[*again, Reply("Done.", usage=USED)], frugal=answer)
    async with lab.worker(owner, max_cached_workflows=100):
        handle = await lab.holdfast.start("owner", "Ask.", budget={"tokens": 2_600})
        result = (await handle.result(60)).run
        assert (result.status, result.output) == (RunStatus.COMPLETED, "Done.")
        assert result.tree_usage is not None
        assert (result.tree_usage.requests, result.tree_usage.total_tokens) == (13, 1_560)
        starts = [(await lab.entries(f"{handle.id}/{turn}.0"))[0].data["request"] for turn in (1, 6)]
        assert [start["within"]["tokens"] for start in starts] == [(2_600 - 120) // 2, (2_600 - 11 * 120) // 2]


async def test_a_child_that_cannot_tell_counts_with_its_whole_part(priced: Lab) -> None:
    """What a terminated child has used is not known, so its part counts as used."""
    lab = priced
    Cast(lab, boss=[asks("clerk", "?"), Reply("Done.", usage=USED)], clerk=Reply(LONG, hang_after=1))
    async with lab.worker(boss, max_cached_workflows=100):
        handle = await lab.holdfast.start("boss", "Ask.", budget={"tokens": 10_000})
        child = await exists(lab, f"{handle.id}/1.0")
        await streaming(child)
        held = (await handle.status()).held
        assert held is not None
        assert held.tokens > 4_000
        await child.terminate("by hand")

        async def has_ended() -> bool:
            return (await handle.status()).status.is_final

        await eventually(has_ended)
        progress = await lab.client.get_workflow_handle(handle.id).query("status")
        assert progress["spent"]["tokens"] >= held.tokens
