"""The usage of model calls and its cost, also of attempts that were lost with their worker."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from temporalio import activity

from holdfast._util.logger import get_logger
from holdfast.activities.partial_text import PartialText
from holdfast.model_reply import ModelReply
from holdfast.ports.prices import PriceList
from holdfast.protocol import ModelProgress
from holdfast.types import Usage

log = get_logger(__name__)


class Spending:
    """Prices model calls.

    Args:
        prices: of the models of this worker's provider.
        default_model: answers if the agent names no model.
    """

    def __init__(self, prices: PriceList, default_model: str) -> None:
        self._prices = prices
        self._default_model = default_model
        self._loading: asyncio.Task[object] | None = None

    def prepare(self) -> None:
        """Begins to load the prices, so that they are known when the reply arrives."""
        if self._loading is None:
            self._loading = asyncio.create_task(asyncio.to_thread(self._prices.price, self._default_model))

    async def settle(self, reply: ModelReply, partial: PartialText) -> None:
        """Completes the usage of a reply: adds what earlier attempts have used, and the cost.

        Args:
            reply: a whole reply, or a part of one.
            partial: this attempt, for estimates if the provider reports no usage, and the usage that has no reply.
        """
        lost = partial.lost
        if not reply.usage.total_tokens and partial.context and not reply.cached:
            guess = partial.estimate()
            counted = {"input_tokens": guess.input_tokens, "output_tokens": guess.output_tokens}
            reply.usage = reply.usage.model_copy(update=counted)
        if not (reply.usage.unpriced or lost.requests):
            return
        if self._loading and not self._loading.done():
            await asyncio.wait([self._loading])
        asked = partial.model or self._default_model
        reply.usage = self._priced(reply.usage, reply.model, asked)
        if lost.requests:
            reply.usage += self._priced(lost, reply.model, asked)

    def _priced(self, usage: Usage, *models: str) -> Usage:
        if not usage.unpriced:
            return usage
        try:
            costs = (self._prices.cost(model, usage) for model in dict.fromkeys(models))
            cost = next((cost for cost in costs if cost is not None), None)
        except Exception:  # the reply is paid for, so it must not be lost
            log.exception("the cost of a model call cannot be computed", model=models[0])
            cost = None
        return usage if cost is None else usage.model_copy(update={"cost_usd": usage.cost_usd + cost, "unpriced": 0})


def lost_usage(known: Usage | None) -> Usage:
    """Returns what earlier attempts of this call have used, as their last heartbeat tells.

    Args:
        known: what is known without a heartbeat; one includes it.
    """
    for details in activity.info().heartbeat_details[:1]:
        with suppress(ValueError):  # another program has sent them
            return ModelProgress.model_validate(details).spent or known or Usage()
    return known or Usage()
