"""Leases of daily budgets for model calls."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

from temporalio import activity
from temporalio.exceptions import ApplicationError

from holdfast._util.logger import get_logger
from holdfast.activities.failures import EXPECTED
from holdfast.budgets import EVERYTHING, DayBudget
from holdfast.errors import ErrorType, ModelUnavailable, StoreUnavailable
from holdfast.estimates import DEFAULT_OUTPUT, LEAST_OUTPUT, MOST_OUTPUT, output_limit, output_room, request_tokens
from holdfast.ports.day_budgets import DayBudgets, DayLimit, Refusal, Spent
from holdfast.ports.prices import PriceList, highest_price
from holdfast.pricing import ModelPrice
from holdfast.protocol import ModelCall
from holdfast.types import Context, Usage

log = get_logger(__name__)

LONGEST_CALL = timedelta(hours=1)
GRACE = timedelta(minutes=1)  # after the longest call, before its lease expires
TRIES = 3  # of a smaller lease, while other runs take from the same budget


class Lease:
    """What a model call has reserved of daily budgets.

    Args:
        budgets: stores it.
        scopes: none means that there is nothing to reserve.
        max_output: tokens that the reply may have by the budget of the run; `None` means that it sets no limit.
    """

    def __init__(self, budgets: DayBudgets, scopes: list[str], max_output: int | None) -> None:
        info = activity.info()
        self._budgets = budgets
        self._holder = f"{info.workflow_run_id}/{info.activity_id}"
        self._is_taken = False
        self.scopes = scopes
        self.day = datetime.now(UTC).date()
        self.max_output = max_output
        """Tokens that the reply may have by all budgets."""

    async def take(self, limits: list[DayLimit], *, most: Spent, least: Spent) -> Refusal | None:
        """Reserves the call; see `DayBudgets.take`."""
        self._is_taken = True
        lasts = (activity.info().start_to_close_timeout or LONGEST_CALL) + GRACE
        return await self._budgets.take(self.day, limits, holder=self._holder, most=most, least=least, lasts=lasts)

    async def settle(self, usage: Usage) -> None:
        """Replaces the lease by what the call has used, in all attempts so far.

        If the store is unavailable, the lease expires: the reply is paid for, and is not lost.
        """
        if not self._is_taken:
            return
        spent = Spent(usage.total_tokens, usage.cost_usd)
        try:
            await self._budgets.settle(self.day, self.scopes, holder=self._holder, spent=spent)
        except StoreUnavailable as error:
            log.warning("what a model call has used is missing in a daily budget", reason=str(error))


class DayLeases:
    """Takes leases of the daily budgets that this worker is configured with.

    Args:
        budgets: stores them.
        limits: by scope.
        prices: of the models of this worker's provider.
        default_model: answers if the agent names no model.
    """

    def __init__(
        self, budgets: DayBudgets, limits: Mapping[str, DayBudget], prices: PriceList, default_model: str
    ) -> None:
        self._budgets = budgets
        self._limits = limits
        self._prices = prices
        self._default_model = default_model

    def lease(self, call: ModelCall) -> Lease:
        """Returns the lease of a call, which reserves nothing yet."""
        scopes = [scope for scope in call.day_budgets if scope in self._limits]
        return Lease(self._budgets, scopes, call.max_output)

    async def take(self, lease: Lease, context: Context, lost: Usage) -> None:
        """Reserves a call, with a reply as long as the budgets allow.

        Args:
            lease: that of the call.
            context: what it sends.
            lost: what earlier attempts have used.

        Raises:
            ApplicationError: a budget does not suffice.
            ModelUnavailable: the store is unavailable.
        """
        limits = [_limit(scope, self._limits[scope]) for scope in lease.scopes]
        if limits:
            try:
                await self._take(lease, limits, context, lost)
            except StoreUnavailable as error:
                raise ModelUnavailable(f"the store of the daily budget is unavailable: {error}") from None

    async def _take(self, lease: Lease, limits: list[DayLimit], context: Context, lost: Usage) -> None:
        models = context.spec.models or [self._default_model]
        price = await asyncio.to_thread(highest_price, self._prices, models)
        size = request_tokens(context.spec, context.messages)
        limit = output_limit(context.spec.model_settings)
        output = min(limit or DEFAULT_OUTPUT, lease.max_output or MOST_OUTPUT)
        if lost.requests:
            await lease.settle(lost.model_copy(update={"cost_usd": price.cost(lost)}) if price else lost)
        for _ in range(TRIES):
            refusal = await lease.take(
                limits, most=_spent(size, output, price, lost), least=_spent(size, 0, price, lost)
            )
            if refusal is None:
                return
            refused = refusal
            output = math.floor(min(output, _room(refusal, size, price)))
            if output < min(limit or LEAST_OUTPUT, LEAST_OUTPUT):
                break
            lease.max_output = output
        raise _exceeded(lease.day, refused)


def _limit(scope: str, budget: DayBudget) -> DayLimit:
    return DayLimit(scope, budget.tokens_per_day, budget.cost_usd_per_day)


def _spent(size: int, output: int, price: ModelPrice | None, lost: Usage) -> Spent:
    usage = Usage(input_tokens=size, output_tokens=output)
    cost = price.cost(usage + lost) if price else 0.0
    return Spent(usage.total_tokens + lost.total_tokens, cost)


def _room(refusal: Refusal, size: int, price: ModelPrice | None) -> float:
    """Returns the tokens of a reply for which there is room; what earlier attempts have used is counted already."""
    limit, use = refusal.limit, refusal.use
    tokens = math.inf if limit.tokens is None else limit.tokens - use.used.tokens - use.held.tokens
    dollars = math.inf if limit.cost_usd is None else limit.cost_usd - use.used.cost_usd - use.held.cost_usd
    return output_room(tokens, dollars, size, price)


def _exceeded(day: date, refusal: Refusal) -> ApplicationError:
    limit, use = refusal.limit, refusal.use
    parts = []
    if limit.cost_usd is not None:
        parts.append(f"${use.used.cost_usd + use.held.cost_usd:.4f} of ${limit.cost_usd:.4f}")
    if limit.tokens is not None:
        parts.append(f"{use.used.tokens + use.held.tokens:,} of {limit.tokens:,} tokens")
    setting = "BUDGET_PER_DAY" if limit.scope == EVERYTHING else "BUDGETS"
    message = (
        f"the daily budget of {limit.scope!r} does not suffice for the next model call: {' and '.join(parts)} are used "
        f"or reserved on {day}; raise it in {setting}, or run again tomorrow"
    )
    return ApplicationError(message, type=ErrorType.BUDGET_EXCEEDED, non_retryable=True, category=EXPECTED)
