"""The budgets of a run, resolved before its first turn."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from temporalio.exceptions import ApplicationError

from holdfast.budgets import DayBudget, budget_of_run, scopes_of
from holdfast.errors import ErrorType
from holdfast.ports.prices import PriceList, highest_price
from holdfast.protocol import Plan, RunOptions
from holdfast.types import AgentSpec


class Limiter:
    """Puts budgets into the plans of runs.

    Args:
        prices: of the models of this worker's provider.
        limits: daily budgets by scope.
    """

    def __init__(self, prices: PriceList, limits: Mapping[str, DayBudget]) -> None:
        self._prices = prices
        self._limits = limits

    async def limit(self, plan: Plan, spec: AgentSpec, wanted: RunOptions, default_model: str) -> None:
        """Adds the budgets that apply to a run, and the price of its models if one of them limits the cost.

        Raises:
            ApplicationError: the cost is limited, and the price of the model is not known.
        """
        if budget := budget_of_run(wanted.budget, spec.budget, wanted.within):
            plan.budget = budget
        scopes = [scope for scope in scopes_of(wanted.tags) if scope in self._limits] if self._limits else []
        if scopes:
            plan.day_budgets = scopes
        costly = [scope for scope in scopes if self._limits[scope].cost_usd_per_day is not None]
        has_limit = plan.budget is not None and plan.budget.cost_usd is not None
        if not (costly or has_limit):
            return
        agents = (plan.spec, *plan.spec.team.values())
        models = list(dict.fromkeys(model for agent in agents for model in agent.models or [default_model]))
        price = await asyncio.to_thread(highest_price, self._prices, models)
        if price is not None:
            plan.price = price
        elif not (plan.budget and plan.budget.allow_unpriced):
            named = " or ".join(repr(model) for model in models)
            what = "its budget" if has_limit else f"the daily budget of {costly[0]!r}"
            raise ApplicationError(
                f"this run cannot start: {what} limits the cost, and the price of model {named} is not known. "
                "Set it in MODEL_PRICES, or use allow_unpriced (--allow-unpriced) to leave it uncounted",
                type=ErrorType.INVALID_REQUEST,
                non_retryable=True,
            )
