"""The budgets of a run, resolved before its first turn."""

from __future__ import annotations

import asyncio

from temporalio.exceptions import ApplicationError

from holdfast.budgets import budget_of_run, scopes_of
from holdfast.errors import ErrorType
from holdfast.ports.model_access import ModelAccess
from holdfast.ports.prices import highest
from holdfast.pricing import ModelPrice
from holdfast.protocol import Plan, RunOptions
from holdfast.types import AgentSpec


class Limiter:
    """Puts budgets into the plans of runs.

    Args:
        models: those of this worker, with their prices and the daily budgets.
    """

    def __init__(self, models: ModelAccess) -> None:
        self._models = models
        self._limits = models.day_limits

    async def limit(self, plan: Plan, spec: AgentSpec, wanted: RunOptions) -> None:
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
        agents, of_models = (plan.spec, *plan.spec.team.values()), self._models
        asked = list(
            dict.fromkeys((a.client, model) for a in agents for model in a.models or [of_models.default_of(a)])
        )
        price = await asyncio.to_thread(lambda: highest(self._price(*each) for each in asked))
        if price is not None:
            plan.price = price
        elif not (plan.budget and plan.budget.allow_unpriced):
            named = " or ".join(repr(model) for _, model in asked)
            what = "its budget" if has_limit else f"the daily budget of {costly[0]!r}"
            raise ApplicationError(
                f"this run cannot start: {what} limits the cost, and the price of model {named} is not known. "
                "Set it in MODEL_PRICES, or use allow_unpriced (--allow-unpriced) to leave it uncounted",
                type=ErrorType.INVALID_REQUEST,
                non_retryable=True,
            )

    def _price(self, client: str | None, model: str) -> ModelPrice | None:
        return self._models.prices(client or self._models.provider).price(model)
