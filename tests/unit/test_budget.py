"""Budgets: reserving, settling, and slices for children, by pure functions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.budgets import Amount, Budget
from holdfast.estimates import DEFAULT_OUTPUT
from holdfast.pricing import ModelPrice
from holdfast.workflows.run.budget import (
    Account,
    CallPlan,
    Shortage,
    allowed_calls,
    plan_call,
    refund,
    reserve,
    set_aside,
    settle,
)
from tests.support.tiers import scaled

PRICE = ModelPrice(input=1, output=10)  # dollars per million tokens


@dataclass(frozen=True)
class Case:
    name: str
    budget: Budget
    amount: Amount
    used: Amount = field(default_factory=Amount)
    held: Amount = field(default_factory=Amount)
    short: str | None = None
    """The limit that is short."""


CASES = [
    Case("no limit", Budget(), Amount(tokens=10**9, cost_usd=1e6, tool_calls=10**6)),
    Case("up to the limit", Budget(tokens=100), Amount(tokens=50), Amount(tokens=30), Amount(tokens=20)),
    Case("beyond the limit", Budget(tokens=100), Amount(tokens=51), Amount(tokens=30), Amount(tokens=20), "tokens"),
    Case("ten cents ten times", Budget(cost_usd=1), Amount(cost_usd=0.1), Amount(cost_usd=0.1 + 0.2 + 0.6)),
    Case("beyond the cost", Budget(cost_usd=1), Amount(cost_usd=0.11), Amount(cost_usd=0.9), short="cost_usd"),
    Case("no tool calls at all", Budget(tool_calls=0), Amount(tool_calls=1), short="tool_calls"),
    Case("a limit that was passed", Budget(tokens=100), Amount(tokens=1), Amount(tokens=120), short="tokens"),
    Case("one of three limits", Budget(tokens=9, cost_usd=1), Amount(tokens=5, cost_usd=2), short="cost_usd"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_reserve(case: Case) -> None:
    """What is used, held and wanted must fit into each limit; a shortage says which does not."""
    account = Account(case.budget, case.used, {"other": case.held})
    found = reserve(account, "call", case.amount)
    if case.short:
        assert isinstance(found, Shortage)
        assert found.limit == case.short
    else:
        assert isinstance(found, Account)
        assert found.held["call"] == case.amount
        assert refund(found, "call") == account


def test_settle_replaces_what_was_held() -> None:
    """After a call, what was used counts instead of what was reserved, even if it was more."""
    account = reserve(Account(Budget(tokens=100)), "call", Amount(tokens=60))
    assert isinstance(account, Account)
    assert account.left("tokens") == 40
    assert settle(account, "call", Amount(tokens=10)).left("tokens") == 90
    assert settle(account, "call", Amount(tokens=110)).left("tokens") == -10


def test_a_second_attempt_replaces_the_first() -> None:
    """The same call holds one reservation."""
    account = Account(Budget(tokens=100))
    for _ in range(3):
        found = reserve(account, "call", Amount(tokens=60))
        assert isinstance(found, Account)
        account = found
    assert account.left("tokens") == 40


@dataclass(frozen=True)
class Call:
    name: str
    budget: Budget
    input_tokens: int = 1_000
    settings: dict[str, Any] = field(default_factory=dict)
    plan: CallPlan | None = None
    short: str | None = None


CALLS = [
    Call(
        "no limit of the reply",
        Budget(tokens=1_000_000),
        plan=CallPlan(Amount(tokens=1_000 + DEFAULT_OUTPUT, cost_usd=0.16484)),
    ),
    Call(
        "a limit of the reply",
        Budget(tokens=1_000_000),
        settings={"max_tokens": 500},
        plan=CallPlan(Amount(tokens=1_500, cost_usd=0.006)),
    ),
    Call(
        "less left than the reply may have",
        Budget(tokens=4_000),
        settings={"max_completion_tokens": 5_000},
        plan=CallPlan(Amount(tokens=4_000, cost_usd=0.031), 3_000),
    ),
    Call(
        "fewer dollars left than the reply may cost",
        Budget(cost_usd=0.021),
        plan=CallPlan(Amount(tokens=3_000, cost_usd=0.021), 2_000),
    ),
    Call("too little for a reply", Budget(tokens=2_000), short="tokens"),
    Call("too few dollars for a reply", Budget(cost_usd=0.011), short="cost_usd"),
    Call(
        "a short reply fits",
        Budget(tokens=1_010),
        settings={"max_tokens": 10},
        plan=CallPlan(Amount(tokens=1_010, cost_usd=0.0011)),
    ),
    Call("ask before a reply is cut off", Budget(tokens=4_000, on_limit="ask"), short="tokens"),
]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_plan_call(call: Call) -> None:
    """A call reserves its input, and its reply as far as the budget has room; the reply gets no more than that."""
    found = plan_call(Account(call.budget), "call", input_tokens=call.input_tokens, settings=call.settings, price=PRICE)
    if isinstance(found, Shortage):
        assert (found.limit, call.plan) == (call.short, None)
        return
    account, plan = found
    assert call.plan is not None
    assert plan.amount.tokens == call.plan.amount.tokens
    assert plan.amount.cost_usd == pytest.approx(call.plan.amount.cost_usd)
    assert plan.max_output == call.plan.max_output
    assert account.held["call"] == plan.amount


def test_an_unknown_price_does_not_limit() -> None:
    """Without a price, a call reserves tokens and no cost."""
    found = plan_call(Account(Budget(cost_usd=0.01)), "call", input_tokens=10**6, settings={}, price=None)
    assert not isinstance(found, Shortage)
    assert found[1].amount.cost_usd == 0


@pytest.mark.parametrize(("used", "wanted", "allowed"), [(0, 2, 2), (2, 3, 1), (3, 3, 0), (5, 1, 0)])
def test_allowed_calls(used: int, wanted: int, allowed: int) -> None:
    """Of the tool calls of a turn, as many are allowed as are left."""
    assert allowed_calls(Account(Budget(tool_calls=3), Amount(tool_calls=used)), wanted) == allowed
    assert allowed_calls(Account(Budget()), wanted) == wanted


def test_a_shortage_says_what_is_missing() -> None:
    """The message names the limit, what is used, what is set aside, and what is needed."""
    account = Account(Budget(tokens=10_000), Amount(tokens=8_000), {"child": Amount(tokens=1_500)})
    told = str(reserve(account, "call", Amount(tokens=1_000)))
    for words in ("10,000 tokens", "8,000 used", "1,500 set aside", "at least 1,000"):
        assert words in told
    assert "$0.0100" in str(reserve(Account(Budget(cost_usd=0.01)), "call", Amount(cost_usd=1)))


# --- slices for children ---------------------------------------------------------------------------------------------


def test_a_child_gets_its_share() -> None:
    """Children that start together get equal shares, and one share stays with the parent."""
    account, budgets = Account(Budget(tokens=1_000, cost_usd=2, on_limit="ask")), []
    for number in range(3):
        found = set_aside(account, f"child-{number}", shares=4 - number)
        assert not isinstance(found, Shortage)
        account, budget = found
        budgets.append(budget)
    assert [budget.tokens for budget in budgets] == [250, 250, 250]
    assert [budget.cost_usd for budget in budgets] == pytest.approx([0.5, 0.5, 0.5])
    assert account.left("tokens") == 250
    assert budgets[0].tool_calls is None, "a limit that the parent does not have is none of the child"


def test_a_child_gets_no_more_than_it_asks_for() -> None:
    """A budget that a child asks for is its own limit, up to its share; the rest is given back at its end."""
    wanted = Budget(tokens=100, tool_calls=5, on_limit="ask")
    found = set_aside(Account(Budget(tokens=1_000)), "child", shares=2, wanted=wanted)
    assert not isinstance(found, Shortage)
    account, budget = found
    assert (budget.tokens, budget.tool_calls, budget.asks) == (100, 5, True)
    assert account.left("tokens") == 900
    assert settle(account, "child", Amount(tokens=30)).left("tokens") == 970
    greedy = set_aside(Account(Budget(tokens=1_000)), "child", shares=2, wanted=Budget(tokens=10**6))
    assert not isinstance(greedy, Shortage)
    assert greedy[1].tokens == 500


def test_a_child_without_a_share_does_not_start() -> None:
    """If nothing is left, there is no slice."""
    found = set_aside(Account(Budget(tokens=3), Amount(tokens=3)), "child", shares=2)
    assert isinstance(found, Shortage)
    assert found.limit == "tokens"


class Run:
    """A run of a tree that spends by the rules."""

    def __init__(self, budget: Budget, depth: int) -> None:
        self.account = Account(budget)
        self.children: dict[str, Run] = {}
        self.depth = depth
        self.started = 0

    def spent(self) -> Amount:
        """What it and all below it have used."""
        return sum((child.spent() for child in self.children.values()), self.account.used)

    def step(self, choice: int, size: int) -> None:
        """Makes one call, starts children, or ends one."""
        if self.children and choice % 3 == 1:
            list(self.children.values())[size % len(self.children)].step(choice // 3, size)
        elif self.children and choice % 3 == 2:
            name = list(self.children)[size % len(self.children)]
            self.account = settle(self.account, name, self.children.pop(name).spent())
        elif self.depth and choice % 2:
            self.start_children(20, Budget(tokens=size + 1) if choice % 4 == 1 else None)
        else:
            self.call(size)

    def start_children(self, number: int, wanted: Budget | None) -> None:
        """Starts children in parallel."""
        for place in range(number):
            self.started += 1
            name = f"child-{self.started}"
            found = set_aside(self.account, name, shares=number - place + 1, wanted=wanted)
            if isinstance(found, Shortage):
                return
            self.account, budget = found
            self.children[name] = Run(budget, self.depth - 1)

    def exhaust(self) -> None:
        """Makes all of it use all that it can."""
        for child in self.children.values():
            child.exhaust()
        while not isinstance(
            found := plan_call(self.account, "call", input_tokens=0, settings={}, price=PRICE), Shortage
        ):
            self.account = settle(found[0], "call", found[1].amount)

    def call(self, size: int) -> None:
        """Makes a model call that uses all that it has reserved at most."""
        found = plan_call(self.account, "call", input_tokens=size, settings={"max_tokens": size + 1}, price=PRICE)
        if isinstance(found, Shortage):
            return
        self.account, plan = found
        share = (size % 7) / 6
        used = Amount(tokens=int(plan.amount.tokens * share), cost_usd=plan.amount.cost_usd * share)
        self.account = settle(self.account, "call", used)


@settings(max_examples=scaled(60, 1_000), deadline=None, derandomize=True)
@given(
    st.integers(100, 100_000),
    st.floats(0.001, 1),
    st.lists(st.tuples(st.integers(0, 500), st.integers(0, 3_000)), max_size=60),
)
def test_20_parallel_children_never_over(tokens: int, dollars: float, steps: list[tuple[int, int]]) -> None:
    """However 20 parallel children and their own children spend, in any order, the tree never passes its limits."""
    root = Run(Budget(tokens=tokens, cost_usd=dollars), depth=2)
    root.start_children(20, None)
    for choice, size in steps:
        root.step(choice, size)
        spent = root.spent()
        assert spent.tokens <= tokens
        assert spent.cost_usd <= dollars + 1e-6
    root.exhaust()
    spent = root.spent()
    assert spent.tokens <= tokens
    assert spent.cost_usd <= dollars + 1e-6


def test_a_part_of_a_budget_limits_another_one() -> None:
    """A child has the lower of its agent's limit and of its part, and does not ask a person to raise it."""
    own = Budget(cost_usd=1, tokens=500, on_limit="ask")
    assert own.within(Budget(cost_usd=0.5, tokens=900, tool_calls=3)) == Budget(
        cost_usd=0.5, tokens=500, tool_calls=3, on_limit="stop"
    )
