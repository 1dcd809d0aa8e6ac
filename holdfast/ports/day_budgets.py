"""The port of budgets that many runs share, per day."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Protocol, runtime_checkable

NANO = 1_000_000_000
"""Units of a dollar in which costs are stored, as sums of fractions are not exact."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What calls use, or may use."""

    tokens: int = 0
    """Input and output together."""
    cost_usd: float = 0.0

    @property
    def nano_usd(self) -> int:
        """The cost in billionths of a dollar."""
        return round(self.cost_usd * NANO)


@dataclass(frozen=True, slots=True)
class DayLimit:
    """The limits of a scope for one day."""

    scope: str
    """What the limits are for: `all`, or `tag:team=search`."""
    tokens: int | None = None
    """`None` means no limit."""
    cost_usd: float | None = None
    """`None` means no limit."""


@dataclass(frozen=True, slots=True)
class DayUse:
    """What a scope has used on one day."""

    used: Spent = Spent()
    """By calls that have ended."""
    held: Spent = Spent()
    """Reserved for calls that have not ended."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a lease was not granted."""

    limit: DayLimit
    use: DayUse


@runtime_checkable
class DayBudgets(Protocol):
    """Leases of parts of daily budgets. A day is one of UTC.

    Every method may raise StoreUnavailable; a write may have been stored nevertheless, and can be repeated.
    """

    async def take(
        self, day: date, limits: Sequence[DayLimit], *, holder: str, most: Spent, least: Spent, lasts: timedelta
    ) -> Refusal | None:
        """Reserves what a call may use in all scopes, or in none; `None` means that it is reserved.

        What is used and reserved never exceeds a limit.

        Args:
            day: the day of the call.
            limits: of each scope that the call belongs to.
            holder: identifies the call; what its earlier attempts have taken or used is replaced.
            most: what the call uses at most, with what its earlier attempts have used.
            least: what counts as used if the lease is not settled in time, as the call was lost.
            lasts: how long the call takes at most.
        """
        ...

    async def settle(self, day: date, scopes: Collection[str], *, holder: str, spent: Spent) -> None:
        """Replaces the lease of a call by what it has used; of several times, the last one counts.

        A call that has no lease is ignored.
        """
        ...

    async def used(self, day: date, scopes: Collection[str]) -> Mapping[str, DayUse]:
        """Returns what each scope has used on a day."""
        ...
