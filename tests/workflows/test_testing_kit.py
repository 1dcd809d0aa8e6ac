"""The shipped fixtures, as tests of users have them."""

from __future__ import annotations

import asyncio
import os

import pytest

import holdfast
from holdfast import Agent, Holdfast, tool
from holdfast.composition.own_agents import own_agents
from holdfast.errors import UsageError
from holdfast.testing import AgentServer, Called, ModelServer, call_tools, say


@tool(read_only=True)
def stock(article: str) -> int:
    """Returns the number of pieces."""
    return {"rope": 12}.get(article, 0)


@tool(read_only=True)
async def price(article: dict[str, str]) -> str:
    """Returns a price."""
    return f"{article['name']}: 3"


clerk = Agent(name="clerk", system_prompt="You answer.", tools=[stock, price])
porter = Agent(name="porter", system_prompt="You carry.")


def test_a_plain_test_runs_an_agent(model: ModelServer, hf: Holdfast, serve: AgentServer, called: Called) -> None:
    """A synchronous test serves an agent, scripts its model, runs it, and asserts what it called."""
    serve(clerk)
    model.reply(
        call_tools(stock={"article": "rope"}, price={"article": {"name": "rope", "size": "L"}}), say("Twelve, 3 each.")
    )
    result = asyncio.run(hf.run("clerk", "How many?"))
    assert result.content == "Twelve, 3 each."
    assert [call.result for call in called("stock", article="rope")] == ["12"]
    assert called(result, "price", article={"name": "rope"})
    with pytest.raises(AssertionError) as failure:
        called("stock", article="anchor")
    assert str(failure.value).splitlines() == [
        "no call stock(article='anchor'); the calls that were made:",
        "  1. stock(article='rope') -> '12'",
        "  2. price(article={'name': 'rope', 'size': 'L'}) -> 'rope: 3'",
    ]
    model.assert_complete()


async def test_code_under_test_connects_by_itself(model: ModelServer, hf: Holdfast, serve: AgentServer) -> None:
    """`holdfast.connect()` reaches the test's agents; served ones stay when others are added; none else is reached."""
    serve(clerk)
    serve(porter)
    model.reply(say("I answer."), say("I carry."))
    async with holdfast.connect() as own:
        assert (await own.run("clerk", "Who?")).content == "I answer."
        second = await own.start("porter", "Who?")
    assert (await hf.handle(second.id).result(30)).content == "I carry."
    assert os.environ["HOLDFAST_ALLOW_MODEL_REQUESTS"] == "0"
    with pytest.raises(UsageError, match="takes agents"):
        serve("clerk")  # type: ignore[arg-type]


def test_a_script_that_is_too_short_fails_the_run(model: ModelServer, hf: Holdfast, serve: AgentServer) -> None:
    """A run that asks the model for more than the script has fails at once, and says what was asked."""
    serve(clerk)
    model.call_tools(stock={"article": "rope"})
    result = asyncio.run(hf.run("clerk", "How many?"))
    assert "no reply left for tool: '12'" in str(result.error)
    with pytest.raises(AssertionError, match="<- no reply was left"):
        model.assert_complete()


@pytest.fixture
def ran_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Something that has run an agent of this process before the test, and a server that is not there any more."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    own_agents()


@pytest.mark.usefixtures("ran_before")
@pytest.mark.parametrize("way", ["async", "blocking"])
def test_agents_that_a_program_runs_itself(model: ModelServer, serve: AgentServer, called: Called, way: str) -> None:
    """`Agent.run` in a test uses the test's worker, model and state, in each test anew, whatever has run before."""
    serve()
    model.reply(call_tools(stock={"article": "rope"}), say(f"Twelve, {way}."))
    result = asyncio.run(clerk.run("How many?", id="own-1")) if way == "async" else clerk.sync.run("Many?", id="own-2")
    assert result.content == f"Twelve, {way}."
    assert [call.result for call in called("stock")] == ["12"]
