"""The share of a model's context window that a call has used."""

from __future__ import annotations

import asyncio

from holdfast.messages import ContextUse
from holdfast.model_reply import ModelReply
from holdfast.ports.prices import PriceList
from holdfast.types import AgentSpec, Usage

CONSIDERABLE = 0.25
"""Part of the window from which on a reply reports the use; below it, reporting would only cost bytes."""
MIN_TOKENS = 1_000 * CONSIDERABLE  # no window is smaller than a thousand tokens


class ContextWindows:
    """Knows the windows of models: as the agent says, else as the setting says, else as the price list does.

    Args:
        prices: of the models of this worker's provider.
        default_model: answers if the agent names no model.
        window: of every model whose agent does not say otherwise, in tokens; `None` means that of the list.
    """

    def __init__(self, prices: PriceList, default_model: str, window: int | None) -> None:
        self._prices = prices
        self._default_model = default_model
        self._window = window
        self._listed: dict[str, int | None] = {}

    async def measure(self, reply: ModelReply, spec: AgentSpec, lost: Usage) -> None:
        """Adds to a reply how much of the window its call has used, if that is a considerable part.

        Args:
            reply: a whole reply with its usage.
            spec: the agent.
            lost: the part of the usage that earlier attempts have.
        """
        tokens = reply.usage.total_tokens - lost.total_tokens
        if tokens < MIN_TOKENS:
            return
        window = spec.context_window or self._window or await self._known(reply.model, *spec.models)
        if window is not None and tokens >= CONSIDERABLE * window:
            reply.context = ContextUse(tokens=tokens, window=window)

    async def _known(self, *models: str) -> int | None:
        for name in (*models, self._default_model) if len(models) == 1 else models:
            if name not in self._listed:
                self._listed[name] = await asyncio.to_thread(self._prices.context_window, name)  # may load the list
            if (window := self._listed[name]) is not None:
                return window
        return None
