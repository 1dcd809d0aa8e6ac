"""Budgets, by pure functions: what is reserved before a call or a child, settled after it, and given back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from holdfast.budgets import Amount, Budget
from holdfast.pricing import MTOK, ModelPrice
from holdfast.types import Usage

ROUNDING = 1e-9  # dollars; sums of fractions are not exact
DEFAULT_OUTPUT = 16_384
"""Tokens that are reserved for a reply if the model settings do not limit it: what most models write at most."""
LEAST_OUTPUT = 1_024
"""Tokens that a reply must have room for, so that a call is worth its input."""
LEAST_OUTPUT_IF_ASKED = 8_192
"""The same if a person can raise the budget: they are asked before a reply is cut off."""
MOST_OUTPUT = 131_072
"""Tokens that no model writes more than in one reply; with more left, the request names no limit."""

OUTPUT_SETTINGS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
UNITS = {"cost_usd": "cost", "tokens": "tokens", "tool_calls": "tool calls"}
"""What each limit of a budget limits."""
OPTIONS = {"cost_usd": "--max-cost-usd", "tokens": "--max-tokens", "tool_calls": "--max-tool-calls"}
"""The option of `run` that sets each limit."""
RAISES = {"cost_usd": "--cost-usd", "tokens": "--tokens", "tool_calls": "--tool-calls"}
"""The option of `budget` that raises each limit."""


@dataclass(frozen=True)
class Account:
    """A budget with what is used of it and what is set aside."""

    budget: Budget
    used: Amount = field(default_factory=Amount)
    held: Mapping[str, Amount] = field(default_factory=dict)
    """By the id of the call or child that it is set aside for."""

    def left(self, limit: str) -> float:
        """Returns what is neither used nor set aside; infinity if there is no such limit."""
        most = getattr(self.budget, limit)
        return math.inf if most is None else most - _sum(self, limit)


@dataclass(frozen=True)
class Shortage:
    """Why something cannot be reserved."""

    limit: str
    """A field of `Budget`."""
    most: float
    """The limit."""
    used: float
    held: float
    needed: float
    """What is needed in addition, at least."""

    def __str__(self) -> str:
        held = f", {_shown(self.limit, self.held)} set aside for others" if self.held else ""
        return (
            f"the budget of {_shown(self.limit, self.most)} {UNITS[self.limit]} does not suffice: "
            f"{_shown(self.limit, self.used)} used{held}, and at least {_shown(self.limit, self.needed)} needed next"
        )


@dataclass(frozen=True)
class CallPlan:
    """What a model call reserves."""

    amount: Amount
    max_output: int | None = None
    """Tokens that the reply may have, if that is fewer than it could have otherwise."""


def reserve(account: Account, key: str, amount: Amount) -> Account | Shortage:
    """Sets an amount aside for a call or a child; what the same key had is replaced."""
    account = refund(account, key)
    for limit in UNITS:
        needed = getattr(amount, limit)
        if needed > account.left(limit) + ROUNDING:
            return _shortage(account, limit, needed)
    return replace(account, held={**account.held, key: amount})


def settle(account: Account, key: str, spent: Amount) -> Account:
    """Replaces what is set aside by what was used, which may be more: it was an estimate."""
    return replace(refund(account, key), used=account.used + spent)


def refund(account: Account, key: str) -> Account:
    """Gives back what is set aside, as nothing was used."""
    return replace(account, held={name: held for name, held in account.held.items() if name != key})


def set_aside(
    account: Account, key: str, *, shares: int, wanted: Budget | None = None
) -> tuple[Account, Budget] | Shortage:
    """Sets a slice aside for a child, which is the child's own budget.

    Args:
        account: the parent's.
        key: the id of the child.
        shares: into how many equal parts what is left is divided, such as the number of children that start now and one
            for the parent's next call.
        wanted: what the child asks for; it gets no more than its share.

    Returns:
        The account, and the budget of the child.
    """
    account, own = refund(account, key), wanted or Budget()
    slices: dict[str, Any] = {}
    for limit in UNITS:
        share = account.left(limit) / shares
        most = min(share, math.inf if (asked := getattr(own, limit)) is None else asked)
        if math.isinf(most):
            continue
        slices[limit] = most if limit == "cost_usd" else math.floor(most)
        if slices[limit] <= 0 and limit != "tool_calls":
            return _shortage(account, limit, 0 if limit == "cost_usd" else 1)
    amount = Amount(**{limit: max(value, 0) for limit, value in slices.items()})
    budget = Budget.model_validate({**own.model_dump(exclude_none=True), **amount.model_dump(include=set(slices))})
    return replace(account, held={**account.held, key: amount}), budget


def plan_call(
    account: Account, key: str, *, input_tokens: int, settings: Mapping[str, Any], price: ModelPrice | None
) -> tuple[Account, CallPlan] | Shortage:
    """Reserves a model call: its whole input, and the reply up to its limit or as far as the budget allows.

    Args:
        account: the run's.
        key: identifies the call.
        input_tokens: an estimate.
        settings: the model settings, which may limit the reply.
        price: of the model; `None` means that it is not known, so that the cost is not limited.
    """
    limit = output_limit(settings)
    wanted = limit or DEFAULT_OUTPUT
    least = min(wanted, LEAST_OUTPUT_IF_ASKED if account.budget.asks else LEAST_OUTPUT)
    account = refund(account, key)
    needed = call_amount(input_tokens, least, price)
    room = _room(account, input_tokens, price)
    reserved = reserve(account, key, needed)
    if isinstance(reserved, Shortage):
        return reserved
    output = min(wanted, room)
    amount = call_amount(input_tokens, max(int(output), least), price)
    cap = int(room) if room < (limit or MOST_OUTPUT) else None
    return replace(account, held={**account.held, key: amount}), CallPlan(amount, cap)


def allowed_calls(account: Account, wanted: int) -> int:
    """Returns how many of the tool calls of a turn the budget allows."""
    return int(max(min(wanted, account.left("tool_calls")), 0))


def call_amount(input_tokens: int, output_tokens: int, price: ModelPrice | None) -> Amount:
    """Returns what a model call uses at most."""
    usage = Usage(input_tokens=input_tokens, output_tokens=output_tokens)
    return Amount(tokens=usage.total_tokens, cost_usd=price.cost(usage) if price else 0.0)


def output_limit(settings: Mapping[str, Any]) -> int | None:
    """Returns the most tokens of a reply that the model settings allow; `None` if they say nothing."""
    values = (settings.get(name) for name in OUTPUT_SETTINGS)
    return next((value for value in values if isinstance(value, int) and value > 0), None)


def _room(account: Account, input_tokens: int, price: ModelPrice | None) -> float:
    """Returns the tokens of a reply that the budget has room for."""
    room = account.left("tokens") - input_tokens
    if price and price.output:
        dollars = account.left("cost_usd") - input_tokens * price.input / MTOK
        room = min(room, dollars * MTOK / price.output)
    return room


def _sum(account: Account, limit: str) -> float:
    return float(getattr(account.used, limit) + sum(getattr(held, limit) for held in account.held.values()))


def _shortage(account: Account, limit: str, needed: float) -> Shortage:
    used = float(getattr(account.used, limit))
    return Shortage(limit, getattr(account.budget, limit), used, _sum(account, limit) - used, needed)


def _shown(limit: str, value: float) -> str:
    return f"${value:.4f}" if limit == "cost_usd" else f"{value:,.0f}"
