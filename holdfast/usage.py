"""Tokens and cost of model calls."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from holdfast.bounds import Cost, Count
from holdfast.data import Tolerant

SHOWN_USD = 0.0001
"""Smallest cost that people are shown as a number."""


class Usage(Tolerant):
    """Tokens and cost of model calls; `+` adds them up."""

    requests: Count = 0
    """Number of model calls that completed, were cancelled, or were lost with their worker."""
    input_tokens: Count = 0
    cached_tokens: Count = 0
    """The part of `input_tokens` that the provider read from its cache."""
    output_tokens: Count = 0
    cost_usd: Cost = 0.0
    """US dollars, as the provider reports them, else by the price of the model; without the calls in `unpriced`."""
    unpriced: Annotated[Count, Field(exclude_if=lambda number: not number)] = 0
    """Number of calls whose price is not known."""

    @property
    def shown_cost(self) -> str:
        """The cost for people: `$0.0120`, `$?` if it is not known, `at least $0.0120`; empty if there is none."""
        if not self.cost_usd:
            return "$?" if self.unpriced else ""
        cost = f"${self.cost_usd:.4f}" if self.cost_usd >= SHOWN_USD else f"under ${SHOWN_USD}"
        return f"at least {cost}" if self.unpriced else cost

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(**{name: getattr(self, name) + getattr(other, name) for name in Usage.model_fields})
