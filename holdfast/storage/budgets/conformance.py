"""The conformance suite of budgets per day.

Each check uses scopes of its own, so all checks can share one implementation:

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    async def test_my_budgets(check):
        await check(make())
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta

from holdfast.ports.day_budgets import DayBudgets, DayLimit, DayUse, Spent
from holdfast.storage.assertions import require, same

Check = Callable[[DayBudgets], Awaitable[None]]

TODAY = datetime.now(UTC).date()
LONG, OVER = timedelta(hours=1), timedelta(0)
CONCURRENCY = 25
NOTHING = Spent()
HOSTILE = ("", "'; DELETE day_budget; --", "⟩", "漢字 \U0001f600", "a=b:c", "$row", "\n")


class Scope:
    """A scope of its own with limits."""

    def __init__(self, budgets: DayBudgets, *, tokens: int | None = None, cost_usd: float | None = None) -> None:
        self.limit = DayLimit(f"tag:test={uuid.uuid4().hex}", tokens, cost_usd)
        self._budgets = budgets

    async def take(
        self, holder: str, most: Spent, *, least: Spent = NOTHING, lasts: timedelta = LONG, day: date = TODAY
    ) -> bool:
        """Takes a lease, and returns whether it was granted."""
        refusal = await self._budgets.take(day, [self.limit], holder=holder, most=most, least=least, lasts=lasts)
        if refusal is not None:
            same(refusal.limit, self.limit, "a refusal names the limit")
            same(refusal.use, await self.use(day), "a refusal says what is used")
        return refusal is None

    async def settle(self, holder: str, spent: Spent, *, day: date = TODAY) -> None:
        """Settles a lease."""
        await self._budgets.settle(day, [self.limit.scope], holder=holder, spent=spent)

    async def use(self, day: date = TODAY) -> DayUse:
        """What is used and held."""
        return (await self._budgets.used(day, [self.limit.scope]))[self.limit.scope]


async def check_day_budgets(make: Callable[[], DayBudgets]) -> None:
    """Runs every check.

    Raises:
        AssertionError: the implementation violates a guarantee; the message says which.
    """
    for check in CHECKS:
        await check(make())


async def a_lease_is_held_until_it_is_settled(budgets: DayBudgets) -> None:
    """What is reserved and what is used count until the limit, which may be reached exactly."""
    scope = Scope(budgets, tokens=100)
    same(await scope.use(), DayUse(), "nothing is used at first")
    require(await scope.take("a", Spent(60, 0.5)), "the first lease fits")
    same(await scope.use(), DayUse(held=Spent(60, 0.5)), "a lease is held")
    require(not await scope.take("b", Spent(41)), "a lease beyond the limit is refused")
    require(await scope.take("b", Spent(40)), "a lease up to the limit is granted")
    await scope.settle("a", Spent(10, 0.1))
    same(await scope.use(), DayUse(Spent(10, 0.1), Spent(40)), "what was not used is free again")
    require(await scope.take("c", Spent(50)), "it can be reserved again")


async def costs_are_exact(budgets: DayBudgets) -> None:
    """Ten times ten cents are a dollar."""
    scope = Scope(budgets, cost_usd=1)
    for number in range(10):
        require(await scope.take(f"{number}", Spent(1, 0.1)), f"lease {number} fits")
        await scope.settle(f"{number}", Spent(1, 0.1))
    same((await scope.use()).used.cost_usd, 1.0, "the sum is exact")
    require(not await scope.take("more", Spent(0, 1e-9)), "the limit is reached")


async def a_call_has_one_lease(budgets: DayBudgets) -> None:
    """A later attempt of a call replaces its lease; settled again, the last use counts."""
    scope = Scope(budgets, tokens=100)
    for _ in range(3):
        require(await scope.take("a", Spent(70)), "the same call may take its lease again")
    await scope.settle("a", Spent(20))
    await scope.settle("a", Spent(30))
    await scope.settle("a", Spent(30))
    same(await scope.use(), DayUse(Spent(30)), "a call counts once")
    require(await scope.take("a", Spent(100)), "a further attempt replaces what the call has used so far")
    same(await scope.use(), DayUse(held=Spent(100)), "it counts once")
    await scope.settle("a", Spent(50))
    same(await scope.use(), DayUse(Spent(50)), "it counts once")


async def a_call_without_a_lease_is_ignored(budgets: DayBudgets) -> None:
    """Settling what was never reserved changes nothing."""
    scope = Scope(budgets, tokens=100)
    await scope.settle("a", Spent(20))
    same(await scope.use(), DayUse(), "nothing is used")


async def all_scopes_or_none(budgets: DayBudgets) -> None:
    """A lease that one scope refuses is not held in any other."""
    wide, narrow = Scope(budgets, tokens=100), Scope(budgets, cost_usd=0.5)
    limits = [wide.limit, narrow.limit]
    lease = {"holder": "a", "least": Spent(), "lasts": LONG}
    refusal = await budgets.take(TODAY, limits, most=Spent(10, 0.6), **lease)  # type: ignore[arg-type]
    require(refusal is not None and refusal.limit == narrow.limit, "the narrow scope refuses it")
    same(await wide.use(), DayUse(), "nothing is held in the other scope")
    require(await budgets.take(TODAY, limits, most=Spent(10, 0.5), **lease) is None, "it fits")  # type: ignore[arg-type]
    same([await wide.use(), await narrow.use()], [DayUse(held=Spent(10, 0.5))] * 2, "it is held in both scopes")


async def a_lost_lease_expires(budgets: DayBudgets) -> None:
    """A lease that is not settled in time counts with its least use, until the call ends after all."""
    scope = Scope(budgets, tokens=100)
    require(await scope.take("lost", Spent(90), least=Spent(20), lasts=OVER), "it fits")
    require(await scope.take("b", Spent(80)), "the lost lease gives way")
    same(await scope.use(), DayUse(Spent(20), Spent(80)), "the lost call counts with its least use")
    await scope.settle("lost", Spent(25))
    same((await scope.use()).used, Spent(25), "a late end replaces it")


async def each_day_begins_anew(budgets: DayBudgets) -> None:
    """What was used on a day does not count on the next."""
    scope = Scope(budgets, tokens=100)
    require(await scope.take("a", Spent(100)), "it fits")
    require(await scope.take("a", Spent(100), day=TODAY + timedelta(days=1)), "the next day is another one")
    await scope.settle("a", Spent(50))
    same((await scope.use(TODAY + timedelta(days=1))).used, Spent(), "a lease is settled on its own day")


async def many_runs_never_exceed(budgets: DayBudgets) -> None:
    """Of many concurrent leases, exactly those that fit are granted."""
    scope = Scope(budgets, tokens=100)
    granted = await asyncio.gather(*(scope.take(f"{number}", Spent(9)) for number in range(CONCURRENCY)))
    same(sum(granted), 11, "as many are granted as fit")
    same(await scope.use(), DayUse(held=Spent(99)), "and no more")


async def scopes_are_separate(budgets: DayBudgets) -> None:
    """Each scope and call is separate, whatever text it has."""
    prefix = uuid.uuid4().hex
    for text in HOSTILE:
        limit = DayLimit(f"{prefix}{text}", tokens=10)
        refusal = await budgets.take(TODAY, [limit], holder=text, most=Spent(10), least=Spent(), lasts=LONG)
        require(refusal is None, f"scope {text!r} is its own")
    found = await budgets.used(TODAY, [f"{prefix}{text}" for text in HOSTILE])
    same(list(found.values()), [DayUse(held=Spent(10))] * len(HOSTILE), "each scope has its own use")


CHECKS: tuple[Check, ...] = (
    a_lease_is_held_until_it_is_settled,
    costs_are_exact,
    a_call_has_one_lease,
    a_call_without_a_lease_is_ignored,
    all_scopes_or_none,
    a_lost_lease_expires,
    each_day_begins_anew,
    many_runs_never_exceed,
    scopes_are_separate,
)
