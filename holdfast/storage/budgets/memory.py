"""Budgets per day, in memory."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from typing_extensions import override

from holdfast.ports.day_budgets import NANO, DayBudgets, DayLimit, DayUse, Refusal, Spent


@dataclass
class _Lease:
    tokens: int
    nano_usd: int
    least: Spent
    until: float  # of `time.monotonic()`
    is_settled: bool = False

    def settle(self, spent: Spent) -> None:
        self.tokens, self.nano_usd, self.is_settled = spent.tokens, spent.nano_usd, True


class MemoryDayBudgets(DayBudgets):
    """Budgets of the workers of one process, which are lost with it."""

    def __init__(self) -> None:
        self._leases: dict[tuple[date, str], dict[str, _Lease]] = {}

    @override
    async def take(
        self, day: date, limits: Sequence[DayLimit], *, holder: str, most: Spent, least: Spent, lasts: timedelta
    ) -> Refusal | None:
        for key in [key for key in self._leases if key[0] < day - timedelta(days=1)]:
            del self._leases[key]
        for limit in limits:
            use = self._use(day, limit.scope, without=holder)
            tokens = use.used.tokens + use.held.tokens + most.tokens
            nano_usd = use.used.nano_usd + use.held.nano_usd + most.nano_usd
            too_many = limit.tokens is not None and tokens > limit.tokens
            if too_many or (limit.cost_usd is not None and nano_usd > round(limit.cost_usd * NANO)):
                return Refusal(limit, self._use(day, limit.scope))
        for limit in limits:
            leases = self._leases.setdefault((day, limit.scope), {})
            until = time.monotonic() + lasts.total_seconds()
            leases[holder] = _Lease(most.tokens, most.nano_usd, least, until)
        return None

    @override
    async def settle(self, day: date, scopes: Collection[str], *, holder: str, spent: Spent) -> None:
        for scope in scopes:
            if lease := self._leases.get((day, scope), {}).get(holder):
                lease.settle(spent)

    @override
    async def used(self, day: date, scopes: Collection[str]) -> Mapping[str, DayUse]:
        return {scope: self._use(day, scope) for scope in scopes}

    def _use(self, day: date, scope: str, without: str | None = None) -> DayUse:
        leases = self._leases.get((day, scope), {})
        for lease in leases.values():
            if not lease.is_settled and lease.until < time.monotonic():
                lease.settle(lease.least)
        others = [lease for name, lease in leases.items() if name != without]
        settled = [lease for lease in others if lease.is_settled]
        return DayUse(_sum(settled), _sum([lease for lease in others if not lease.is_settled]))


def _sum(leases: Collection[_Lease]) -> Spent:
    return Spent(sum(lease.tokens for lease in leases), sum(lease.nano_usd for lease in leases) / NANO)
