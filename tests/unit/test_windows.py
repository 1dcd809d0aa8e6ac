"""The share of its model's context window that a call has used."""

from __future__ import annotations

import asyncio

import pytest
from typing_extensions import override

from holdfast import Agent
from holdfast.activities.windows import ContextWindows
from holdfast.errors import AgentDefinitionError
from holdfast.messages import ContextUse
from holdfast.model_reply import ModelReply
from holdfast.ports.prices import PriceList
from holdfast.pricing import ModelPrice
from holdfast.types import AgentSpec, Usage

WINDOWS = {"known": 10_000, "default": 20_000}


class Prices(PriceList):
    """A list that counts how often it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    @override
    def price(self, model: str) -> ModelPrice | None:
        return None

    @override
    def cost(self, model: str, usage: Usage) -> float | None:
        return None

    @override
    def context_window(self, model: str) -> int | None:
        self.asked.append(model)
        return WINDOWS.get(model)


def measured(
    tokens: int, *, model: str = "known", setting: int | None = None, lost: int = 0, **fields: object
) -> ContextUse | None:
    usage = Usage(requests=1, input_tokens=tokens - 100, output_tokens=100)
    reply = ModelReply(content="", model=model, finish_reason="stop", usage=usage, seconds=0.1)
    spec = AgentSpec.model_validate({"name": "a", **fields})
    windows = ContextWindows(Prices(), "default", setting)
    asyncio.run(windows.measure(reply, spec, Usage(input_tokens=lost)))
    return reply.context


def test_the_window_is_that_of_the_agent_the_setting_or_the_list() -> None:
    """The agent knows best, then the worker, then the price list, by the model that answered or the one asked for."""
    assert measured(5_000) == ContextUse(tokens=5_000, window=10_000)
    assert measured(5_000, setting=6_000) == ContextUse(tokens=5_000, window=6_000)
    assert measured(5_000, setting=6_000, context_window=7_000) == ContextUse(tokens=5_000, window=7_000)
    assert measured(6_000, model="known-2026") == ContextUse(tokens=6_000, window=20_000), "the default model's"


def test_a_small_context_costs_nothing() -> None:
    """Below a quarter of the window nothing is reported; attempts that were lost do not count."""
    assert measured(2_400) is None
    assert measured(2_600) == ContextUse(tokens=2_600, window=10_000)
    assert measured(2_600, lost=400) is None


def test_the_list_is_asked_once_for_a_model() -> None:
    """A look-up may load the list, so its answer is kept."""
    prices = Prices()
    windows = ContextWindows(prices, "default", None)
    usage = Usage(requests=1, input_tokens=9_000, output_tokens=1)
    for _ in range(3):
        reply = ModelReply(content="", model="known", finish_reason="stop", usage=usage, seconds=0.1)
        asyncio.run(windows.measure(reply, AgentSpec(name="a"), Usage()))
    assert prices.asked == ["known"]


def test_an_agent_says_how_much_its_model_accepts() -> None:
    """The field is part of a definition only if it is set."""
    assert Agent(name="a", context_window=32_768).spec().context_window == 32_768
    assert "context_window" not in Agent(name="a").spec().model_fields_set
    with pytest.raises(AgentDefinitionError, match="context_window"):
        Agent(name="a", context_window=10)
