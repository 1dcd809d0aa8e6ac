"""Budgets of runs: what people set, and what a run carries of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError

from holdfast.bounds import MAX_COST, MAX_COUNT, Cost, Count
from holdfast.data import Data, Tolerant
from holdfast.rejection import place_of, reason_of

EVERYTHING = "all"
"""The scope of the daily budget of all runs."""
TAG = "tag:"
"""Prefix of the scopes of the runs with a tag: `tag:team=search`."""
EXAMPLE = '{"tag:team=search": {"cost_usd_per_day": 5}}'

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

    def within(self, part: Budget) -> Self:
        """Returns this budget, with no limit above that of a part of another budget; at a limit, the run ends."""
        both = [(name, getattr(self, name), getattr(part, name)) for name in ("cost_usd", "tokens", "tool_calls")]
        limits = {name: min(own, most) if None not in (own, most) else own or most for name, own, most in both}
        unpriced = self.allow_unpriced or part.allow_unpriced
        return self.model_copy(update={**limits, "on_limit": "stop", "allow_unpriced": unpriced})


def checked_budget(given: Budget | Mapping[str, Any]) -> Budget:
    """Returns a budget that a person has written.

    Raises:
        ValueError: a field is not known, or its value is not accepted.
    """
    budget = Budget.model_validate(given)
    if unknown := sorted(budget.model_extra or {}):
        raise ValueError(f"{unknown[0]!r} is not a field of a budget; its fields are {', '.join(Budget.model_fields)}")
    return budget


def budget_of_run(wanted: Budget | None, of_agent: Budget | None, within: Budget | None) -> Budget | None:
    """Returns the budget of a run; `None` if it has none.

    Args:
        wanted: what it was started with, whose fields override those of its agent.
        of_agent: that of its agent.
        within: the part of its parent's budget that is set aside for it; its own limits are no higher.
    """
    budget = (wanted or Budget()).over(of_agent) if wanted or of_agent else None
    return (budget or Budget()).within(within) if within else budget


def plain_budget(budget: Budget) -> dict[str, Any]:
    """Returns a budget as JSON values, without the fields that are not set."""
    return budget.model_dump(mode="json", exclude_none=True)


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
    """Tokens of the context before message `counted`."""
    counted: int = 0
    """`seq` of the first message that `context_tokens` does not count; 0 means that they count none."""
    held: dict[str, Amount] = {}
    """What is set aside for each child that has not ended, by its id."""
    children: Amount = Amount()
    """What children have used that have ended."""


class DayBudget(Data):
    """What all runs of a scope may use together on one day of UTC; `None` means no limit."""

    cost_usd_per_day: Dollars | None = None
    tokens_per_day: TokenCount | None = None


def scopes_of(tags: Mapping[str, str]) -> Iterator[str]:
    """Yields the scopes of daily budgets that a run with these tags belongs to."""
    yield EVERYTHING
    for name, value in sorted(tags.items()):
        yield f"{TAG}{name}={value}"


def parse_day_budgets(text: str) -> dict[str, DayBudget]:
    """Parses daily budgets by scope, a JSON object such as `EXAMPLE`.

    Raises:
        ValueError: it is not one; the message says what is wrong.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is not JSON such as {EXAMPLE}: {error}") from None
    if not isinstance(found, dict):
        raise ValueError(f"it must be a JSON object such as {EXAMPLE}")  # noqa: TRY004 - for pydantic
    for scope in found:
        if scope != EVERYTHING and not (scope.startswith(TAG) and "=" in scope):
            raise ValueError(f"{scope!r} is not a scope; use {EVERYTHING!r}, or a tag of runs as in {EXAMPLE}")
    try:
        return {scope: DayBudget.model_validate(limits) for scope, limits in found.items()}
    except ValidationError as error:
        first = error.errors()[0]
        name = place_of(first) or "a budget"
        raise ValueError(f"{name} {reason_of(first)}; it must be a JSON object such as {EXAMPLE}") from None
