"""Budgets, by pure functions: what is reserved before a call or a child, settled after it, and given back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from holdfast.budgets import Amount, Budget
from holdfast.estimates import DEFAULT_OUTPUT, LEAST_OUTPUT, MOST_OUTPUT, output_limit, output_room
from holdfast.pricing import ModelPrice
from holdfast.types import Usage

ROUNDING = 1e-9  # dollars; sums of fractions are not exact
LEAST_OUTPUT_IF_ASKED = 8_192
"""Tokens that a reply must have room for if a person can raise the budget: they are asked before it is cut off."""

LIMITS = ("cost_usd", "tokens", "tool_calls")
"""The fields of `Budget` that limit an amount."""
WORDS = {"cost_usd": "", "tokens": " tokens", "tool_calls": " tool calls", "turns": " turns"}
"""What each limit counts, in words; a cost has its sign."""
OPTIONS = {
    "cost_usd": "--max-cost-usd",
    "tokens": "--max-tokens",
    "tool_calls": "--max-tool-calls",
    "turns": "--max-turns",
}
"""The option of `run` that sets each limit."""


@dataclass(frozen=True)
class Account:
    """A budget with what is used of it and what is set aside."""

    budget: Budget
    used: Amount = field(default_factory=Amount)
    held: Mapping[str, Amount] = field(default_factory=dict)
    """By the id of the call or child that it is set aside for."""

    def left(self, limit: str) -> float:
        """Returns what is neither used nor set aside; infinity if there is no such limit."""
        most: float | None = getattr(self.budget, limit)
        used: float = getattr(self.used, limit)
        return math.inf if most is None else most - used - self.held_of(limit)

    def held_of(self, limit: str) -> float:
        """Returns what is set aside."""
        return float(sum(getattr(held, limit) for held in self.held.values()))


@dataclass(frozen=True)
class Shortage:
    """Why something cannot be reserved."""

    limit: str
    """A field of `Budget`, or `turns`."""
    most: float
    """The limit."""
    used: float
    held: float
    needed: float
    """What is needed in addition, at least."""

    def __str__(self) -> str:
        held = f", {self._shown(self.held)} set aside for children" if self.held else ""
        needed = f", and the next call needs at least {self._shown(self.needed)}" if self.needed else ""
        limit = f"{self._shown(self.most)}{WORDS[self.limit]}"
        return f"the run's limit of {limit} does not suffice: {self._shown(self.used)} used{held}{needed}"

    @property
    def advice(self) -> str:
        """What to do, for people."""
        return f"raise it with {OPTIONS[self.limit]}, or use --on-limit ask to be asked before the run ends"

    def _shown(self, value: float) -> str:
        return f"${value:.4f}" if self.limit == "cost_usd" else f"{value:,.0f}"


@dataclass(frozen=True)
class CallPlan:
    """What a model call reserves."""

    amount: Amount
    max_output: int | None = None
    """Tokens that the reply may have, if that is fewer than it could have otherwise."""


def reserve(account: Account, key: str, amount: Amount) -> Account | Shortage:
    """Sets an amount aside for a call or a child; what the same key had is replaced."""
    account = refund(account, key)
    for limit in LIMITS:
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
    for limit in LIMITS:
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
    room = output_room(account.left("tokens"), account.left("cost_usd"), input_tokens, price)
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


def _shortage(account: Account, limit: str, needed: float) -> Shortage:
    most, used = getattr(account.budget, limit), getattr(account.used, limit)
    return Shortage(limit, most, used, account.held_of(limit), needed)
