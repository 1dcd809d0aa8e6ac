"""Costs of runs: the provider's figure, else the price of the model, else unknown."""

from __future__ import annotations

import pytest

from holdfast import Agent, TextDelta
from holdfast.pricing import ModelPrice
from holdfast.testing import Reply
from holdfast.types import Usage
from tests.support.lab import Lab

talker = Agent(name="talker", system_prompt="You talk.")
USED = Usage(input_tokens=1_000, cached_tokens=500, output_tokens=100)
PRICE = ModelPrice(input=10, output=100, cached_input=1)


@pytest.fixture
def priced(lab: Lab) -> Lab:
    """A lab with a price for its model, at a provider that is no scripted model."""
    return priced_lab(lab, {"test-*": PRICE})


def priced_lab(lab: Lab, prices: dict[str, ModelPrice]) -> Lab:
    """A lab whose worker is configured for the lab's model server."""
    changes = {"openai_base_url": lab.server.url, "openai_model": "test-model", "model_prices": prices}
    lab.settings = lab.settings.model_copy(update=changes)
    return lab


async def test_a_call_costs_the_price_of_its_model(priced: Lab) -> None:
    """Where the provider reports no cost, it is that of the tokens, in the result, the status and the log."""
    priced.server.reply(Reply(text="Hello.", usage=USED))
    async with priced.worker(talker):
        handle = await priced.holdfast.start("talker", "Hi.")
        result = await handle.result(60)
    assert result.usage.cost_usd == pytest.approx((500 * 10 + 500 * 1 + 100 * 100) / 1e6)
    assert (await handle.status()).usage == result.usage
    assert result.usage.unpriced == 0


async def test_the_figure_of_the_provider_wins(priced: Lab) -> None:
    """A cost that the provider reports is the cost."""
    priced.server.reply(Reply(text="Hello.", usage=USED.model_copy(update={"cost_usd": 0.5})))
    async with priced.worker(talker):
        result = await (await priced.holdfast.start("talker", "Hi.")).result(60)
    assert result.usage.cost_usd == pytest.approx(0.5)


async def test_an_unknown_price_is_counted_as_unknown(lab: Lab) -> None:
    """The cost of a model without a price is unknown, not 0."""
    priced_lab(lab, {}).server.say("Hello.")
    async with lab.worker(talker):
        result = await (await lab.holdfast.start("talker", "Hi.")).result(60)
    assert (result.usage.cost_usd, result.usage.unpriced, result.usage.shown_cost) == (0, 1, "$?")


async def test_a_cancelled_call_has_a_cost(priced: Lab) -> None:
    """The part of a reply that a cancel interrupts costs what was sent and what had arrived."""
    priced.server.reply(Reply(text="A long answer. " * 50, hang_after=3))
    async with priced.worker(talker, max_cached_workflows=100):
        handle = await priced.holdfast.start("talker", "Talk.")
        async for event in handle.events():
            if isinstance(event, TextDelta):
                break
        await handle.cancel()
        result = await handle.result(60)
    assert result.content
    assert result.usage.output_tokens == -(-len(result.content) // 4)
    assert result.usage.cost_usd == pytest.approx(PRICE.cost(result.usage))


async def test_a_stream_that_breaks_is_counted(priced: Lab) -> None:
    """What an attempt had streamed before it failed is counted with the reply; an error costs nothing."""
    priced.server.reply(Reply.error(503))
    priced.server.reply(Reply(text="A long answer. " * 50, cut_after=40))
    priced.server.reply(Reply(text="Hello.", usage=USED))
    async with priced.worker(talker, max_cached_workflows=100):
        result = await (await priced.holdfast.start("talker", "Talk.")).result(60)
    assert result.usage.requests == 2
    assert result.usage.output_tokens > USED.output_tokens
    assert result.usage.cost_usd > PRICE.cost(USED)


async def test_a_reply_without_usage_is_estimated(priced: Lab) -> None:
    """Tokens that the provider does not report are estimated from the texts."""
    priced.server.reply(Reply(text="Hello, hello.", usage=Usage()))
    async with priced.worker(talker):
        result = await (await priced.holdfast.start("talker", "Hi.")).result(60)
    assert result.usage.input_tokens > 0
    assert result.usage.output_tokens == 4
    assert result.usage.cost_usd > 0
