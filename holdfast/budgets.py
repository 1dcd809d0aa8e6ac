"""Budgets of runs: what people set, and what a run carries of it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field

from holdfast.bounds import MAX_COST, MAX_COUNT, Cost, Count
from holdfast.data import Tolerant

Dollars = Annotated[float, Field(gt=0, le=MAX_COST, allow_inf_nan=False)]
TokenCount = Annotated[int, Field(ge=1, le=MAX_COUNT)]
CallCount = Annotated[int, Field(ge=0, le=MAX_COUNT)]

OnLimit = Literal["stop", "ask"]


class Budget(Tolerant):
    """What a run and the runs that it starts may use together; `None` means no limit."""

    cost_usd: Dollars | None = None
    """US dollars."""
    tokens: TokenCount | None = None
    """Input and output of all model calls."""
    tool_calls: CallCount | None = None
    on_limit: OnLimit | None = None
    """What happens before a limit would be passed: `stop` ends the run, `ask` waits until a person raises the limit.
    `None` means `stop`."""
    allow_unpriced: bool | None = None
    """Whether a limit of the cost is accepted although the price of the model is not known. Calls without a known cost
    do not count towards it then."""

    @property
    def asks(self) -> bool:
        """Whether the run waits for a person at a limit."""
        return self.on_limit == "ask"

    def over(self, other: Budget | None) -> Self:
        """Returns this budget, with the fields of another one where this one has none."""
        given = self.model_dump(exclude_none=True)
        return self.model_validate((other.model_dump(exclude_none=True) if other else {}) | given)


class Amount(Tolerant):
    """A part of a budget."""

    tokens: Count = 0
    cost_usd: Cost = 0.0
    tool_calls: Count = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(
            tokens=self.tokens + other.tokens,
            cost_usd=self.cost_usd + other.cost_usd,
            tool_calls=self.tool_calls + other.tool_calls,
        )


class CarriedBudget(Tolerant):
    """What a run carries of its budget over continue-as-new."""

    context_tokens: Count = 0
    """Tokens of the context as of the last message."""
    held: dict[str, Amount] = {}
    """What is set aside for each child that has not ended, by its id."""
    children: Amount = Amount()
    """What children have used that have ended."""
