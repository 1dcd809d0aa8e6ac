"""Prices of models: those that people set, then the list that is bundled with `genai-prices`. No network."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from holdfast._util.logger import get_logger
from holdfast.names import SCRIPTED_MODEL
from holdfast.ports.prices import PriceList
from holdfast.pricing import FREE, ModelPrice, PriceTable, find_price
from holdfast.types import Usage

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, Provider

log = get_logger(__name__)

Listed = tuple["Provider", "ModelInfo"]


class BundledPrices(PriceList):
    """Prices of the models of one provider.

    Args:
        provider: `scripted`, whose models are free, or the host of the provider. If a host is not in the list, as that
            of a gateway, a model has the price of its maker.
        overrides: take precedence over the list.
    """

    def __init__(self, provider: str, overrides: PriceTable | None = None) -> None:
        self._provider = provider
        self._overrides = overrides or {}
        self._listed: dict[str, Listed | None] = {}

    @override
    def price(self, model: str) -> ModelPrice | None:
        if known := self._set_price(model):
            return known
        return _highest(listed[1]) if (listed := self._find(model)) else None

    @override
    def cost(self, model: str, usage: Usage) -> float | None:
        if known := self._set_price(model):
            return known.cost(usage)
        listed = self._find(model)
        if listed is None:
            return None
        provider, info = listed
        cached = min(usage.cached_tokens, usage.input_tokens)
        try:
            spent = info.calc_price(_Tokens(usage.input_tokens, cached, usage.output_tokens), provider)
        except ValueError as error:
            log.warning("the price of a model cannot be computed", model=model, reason=str(error))
            return None
        return float(spent.total_price)

    @override
    def context_window(self, model: str) -> int | None:
        if (known := find_price(self._overrides, model)) and known.context_window:
            return known.context_window
        return listed[1].context_window if (listed := self._find(model)) else None

    def _set_price(self, model: str) -> ModelPrice | None:
        known = find_price(self._overrides, model)
        return FREE if known is None and SCRIPTED_MODEL in (self._provider, model) else known

    def _find(self, model: str) -> Listed | None:
        if self._provider == SCRIPTED_MODEL:
            return None
        if model not in self._listed:
            self._listed[model] = _find(self._provider, model)
        return self._listed[model]


def context_window(model: str, provider: str = "") -> int | None:
    """Returns the maximum number of tokens of a request to a model; `None` means that it is not known."""
    return BundledPrices(provider).context_window(model)


class _Tokens:
    """Usage, by the names of the list."""

    def __init__(self, input_tokens: int, cached: int, output_tokens: int) -> None:
        self.input_tokens = input_tokens
        self.cache_read_tokens = cached
        self.output_tokens = output_tokens


def _find(host: str, model: str) -> Listed | None:
    from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415  loads the list, in half a second

    snapshot = get_snapshot()
    for name, provider, url in _ways(host, model):
        try:
            found = snapshot.find_provider_model(name, None, provider, url)
        except LookupError:
            continue
        if _rates(found[1], "input_mtok"):
            return found
    return None


def _ways(host: str, model: str) -> Iterator[tuple[str, str | None, str | None]]:
    """Yields how to look a model up: name, provider, and the provider's URL."""
    if host:
        yield model, None, f"https://{host}/v1"
    maker, _, name = model.partition("/")
    if name:  # as gateways name models: `anthropic/claude-sonnet-4.5`
        yield name, maker, None
        yield model, "openrouter", None
    yield model, None, None


def _highest(info: ModelInfo) -> ModelPrice:
    """Returns the highest price of a model, which may depend on the time and on the size of the request."""
    cached = _rates(info, "cache_read_mtok")
    return ModelPrice(
        input=max(_rates(info, "input_mtok"), default=0.0),
        output=max(_rates(info, "output_mtok"), default=0.0),
        cached_input=max(cached) if cached else None,
        context_window=info.context_window or None,
    )


def _rates(info: ModelInfo, name: str) -> list[float]:
    prices: list[Any] = [each.prices for each in info.prices] if isinstance(info.prices, list) else [info.prices]
    found: list[float] = []
    for price in prices:
        rate = vars(price).get(name)
        if isinstance(rate, Decimal | int | float):
            found.append(float(rate))
        elif rate is not None:
            found += [float(rate.base), *(float(tier.price) for tier in rate.tiers)]
    return found
