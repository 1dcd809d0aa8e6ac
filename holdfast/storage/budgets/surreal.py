"""Budgets per day, on SurrealDB."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from surrealdb import RecordID
from typing_extensions import override

from holdfast.errors import StoreUnavailable
from holdfast.ports.day_budgets import NANO, DayBudgets, DayLimit, DayUse, Refusal, Spent
from holdfast.storage.database import Database, retry_conflicts
from holdfast.storage.database.surql import statement

KEPT = timedelta(days=32)  # rows stay that long, for a look at the last month
NO_LIMIT = -1

TAKE, SETTLE = (statement("holdfast.storage.budgets", name) for name in ("take", "settle"))
OVERDUE = """SELECT id[2] AS holder, least_tokens, least_nano_usd
    FROM day_lease:[$day, $scope, NONE]..=[$day, $scope, ..]
    WHERE settled = false AND until < time::now()"""
USED = "SELECT id[1] AS scope, used_tokens, used_nano_usd, held_tokens, held_nano_usd FROM $rows"
PRUNE = """DELETE day_lease:[NONE, NONE, NONE]..[$before, NONE, NONE] RETURN NONE;
    DELETE day_budget:[NONE, NONE]..[$before, NONE] RETURN NONE"""


class SurrealDayBudgets(DayBudgets):
    """One row for each scope and day, which its writers conflict on, and one for each call.

    Args:
        database: the database; it is not closed with this object.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pruned: date | None = None

    @override
    async def take(
        self, day: date, limits: Sequence[DayLimit], *, holder: str, most: Spent, least: Spent, lasts: timedelta
    ) -> Refusal | None:
        await self._prune(day)
        values = {
            "scopes": [_wanted(day, limit, number, holder) for number, limit in enumerate(limits)],
            "leases": [_lease(day, limit.scope, holder) for limit in limits],
            "tokens": most.tokens,
            "nano_usd": most.nano_usd,
            "least_tokens": least.tokens,
            "least_nano_usd": least.nano_usd,
            "lasts": f"{round(lasts.total_seconds() * 1000)}ms",
        }
        refused = await self._take(limits, values)
        if refused is not None and await self._settle_overdue(day, refused.scope):
            refused = await self._take(limits, values)
        if refused is None:
            return None
        return Refusal(refused, (await self.used(day, [refused.scope]))[refused.scope])

    @override
    async def settle(self, day: date, scopes: Collection[str], *, holder: str, spent: Spent) -> None:
        await self._settle([_settled(day, scope, holder, spent.tokens, spent.nano_usd) for scope in sorted(scopes)])

    @override
    async def used(self, day: date, scopes: Collection[str]) -> Mapping[str, DayUse]:
        [rows] = await self._database.run(USED, rows=[_row(day, scope) for scope in scopes])
        found = {
            row["scope"]: DayUse(
                Spent(row["used_tokens"], row["used_nano_usd"] / NANO),
                Spent(row["held_tokens"], row["held_nano_usd"] / NANO),
            )
            for row in rows
        }
        return {scope: found.get(scope, DayUse()) for scope in scopes}

    async def _take(self, limits: Sequence[DayLimit], values: dict[str, Any]) -> DayLimit | None:
        """Takes the leases, and returns the limit that prevents it, if any."""
        results = await retry_conflicts(lambda: self._database.run(TAKE, **values), "the daily budget")
        [found] = next(result for result in reversed(results) if isinstance(result, list) and result)
        if found["over"]:
            number: int = found["over"][0]
            return limits[number]
        if len(found["leases"]) != len(limits):  # the database does not report a write that permissions forbid
            raise StoreUnavailable("the database ignored a lease of the daily budget: check that its user may write")
        return None

    async def _settle(self, leases: list[dict[str, Any]]) -> None:
        await retry_conflicts(lambda: self._database.run(SETTLE, leases=leases), "the daily budget")

    async def _settle_overdue(self, day: date, scope: str) -> bool:
        """Settles leases of calls that were lost; returns whether there were any."""
        [rows] = await self._database.run(OVERDUE, day=day.isoformat(), scope=scope)
        leases = [_settled(day, scope, row["holder"], row["least_tokens"], row["least_nano_usd"]) for row in rows]
        if leases:
            await self._settle(leases)
        return bool(leases)

    async def _prune(self, day: date) -> None:
        if self._pruned != day:
            self._pruned = day
            await self._database.run(PRUNE, before=(day - KEPT).isoformat())


def _row(day: date, scope: str) -> RecordID:
    return RecordID("day_budget", [day.isoformat(), scope])


def _lease(day: date, scope: str, holder: str) -> RecordID:
    return RecordID("day_lease", [day.isoformat(), scope, holder])


def _wanted(day: date, limit: DayLimit, number: int, holder: str) -> dict[str, Any]:
    return {
        "number": number,
        "row": _row(day, limit.scope),
        "lease": _lease(day, limit.scope, holder),
        "tokens": NO_LIMIT if limit.tokens is None else limit.tokens,
        "nano_usd": NO_LIMIT if limit.cost_usd is None else round(limit.cost_usd * NANO),
    }


def _settled(day: date, scope: str, holder: str, tokens: int, nano_usd: int) -> dict[str, Any]:
    return {
        "row": _row(day, scope),
        "lease": _lease(day, scope, holder),
        "tokens": tokens,
        "nano_usd": nano_usd,
    }
