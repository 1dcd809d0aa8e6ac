"""The port of price lists."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from holdfast.pricing import ModelPrice
from holdfast.types import Usage


class PriceList(Protocol):
    """What the models of one provider cost, and how large their contexts are.

    The first look-up may load data, which takes up to half a second: call these methods in a thread.
    """

    def price(self, model: str) -> ModelPrice | None:
        """Returns the highest price of a model, for estimates; `None` means that it is not known."""
        ...

    def cost(self, model: str, usage: Usage) -> float | None:
        """Returns what calls of a model cost, in US dollars; `None` means that its price is not known."""
        ...

    def context_window(self, model: str) -> int | None:
        """Returns the maximum number of tokens of a request to a model; `None` means that it is not known."""
        ...


def highest_price(prices: PriceList, models: Iterable[str]) -> ModelPrice | None:
    """Returns the highest price of several models, one of which answers; `None` if one of theirs is not known."""
    return highest(prices.price(model) for model in models)


def highest(prices: Iterable[ModelPrice | None]) -> ModelPrice | None:
    """Returns the highest of several prices; `None` if one is not known."""
    found = list(prices)
    known = [price for price in found if price is not None]
    if not known or len(known) < len(found):
        return None
    return ModelPrice(input=max(price.input for price in known), output=max(price.output for price in known))
