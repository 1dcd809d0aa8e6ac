"""The models that a process may call, and what limits and prices apply to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from holdfast.budgets import DayBudget
from holdfast.ports import ChatModel
from holdfast.ports.day_budgets import DayBudgets
from holdfast.ports.prices import PriceList
from holdfast.types import AgentSpec


@dataclass(frozen=True, kw_only=True)
class ModelAccess:
    """The models of a process: those that the settings name, and those that clients of agents reach."""

    model: ChatModel
    """The models that the settings name."""
    provider: str
    """Where they are: `scripted`, or the host of a provider."""
    default_model: str
    """The model that is used if neither the run nor its agent names one."""
    of_client: Callable[[Any], ChatModel]
    """Returns the model that a client of an agent reaches."""
    client_model: str
    """The default model of such clients."""
    prices: Callable[[str], PriceList]
    """Returns what the models of a provider cost."""
    day_budgets: DayBudgets
    """What runs have used of daily budgets."""
    day_limits: Mapping[str, DayBudget]
    """The daily budgets by scope."""
    patience: timedelta
    """How long a call waits for a model with a rate limit before the next one is asked."""
    retry_for: timedelta
    """How long a call is retried while its provider is unavailable."""
    queue_of: Callable[[str | None], str | None]
    """Returns the task queue of a model's calls; `None` means that their rate is not limited."""
    context_window: int | None = None
    """The most tokens that models accept whose agents do not say so; `None` means as the price list says."""

    def default_of(self, spec: AgentSpec) -> str:
        """Returns the model of an agent that names none."""
        return self.default_model if spec.client is None else self.client_model
