"""The budget of a run that has ended, as its log has it: no worker keeps it."""

from __future__ import annotations

from typing import Any

from holdfast.budgets import Amount, Budget, budget_of_run
from holdfast.commands import RAISABLE, RaiseBudget
from holdfast.progress import RunProgress
from holdfast.types import AgentSpec, Entry, ForkedFrom


class RecordedBudget:
    """Follows the entries of a run, and knows its limits as of the newest one."""

    def __init__(self) -> None:
        self._budget: Budget | None = None
        self._max_turns: int | None = None
        self._copied_turns = 0
        self._copied_to = -1  # the commands in what a fork has copied were those to its origin
        self._tool_calls_below = 0

    def add(self, entry: Entry) -> None:
        """Adds the next entry."""
        if entry.kind == "start" and "agent" in entry.data:
            self._begin(entry.data)
        elif entry.kind == "command" and entry.data.get("command") == RaiseBudget.NAME and entry.seq > self._copied_to:
            self._raise({name: entry.data[name] for name in RAISABLE if entry.data.get(name) is not None})
        elif entry.kind == "finish":
            self._tool_calls_below = entry.data.get("result", {}).get("tree_tool_calls", 0)

    def _begin(self, data: dict[str, Any]) -> None:
        spec = AgentSpec.model_validate(data["agent"])
        wanted, within = (_budget(data.get("request", {}).get(name)) for name in ("budget", "within"))
        self._budget, self._max_turns = budget_of_run(wanted, spec.budget, within), spec.max_turns
        if "forked" in data:
            origin = ForkedFrom.model_validate(data["forked"])
            self._copied_turns, self._copied_to = origin.turn, origin.seq

    def _raise(self, limits: dict[str, Any]) -> None:
        self._max_turns = limits.get("turns", self._max_turns)
        if self._budget is not None:
            raised = {name: value for name, value in limits.items() if name in Budget.model_fields}
            self._budget = self._budget.model_copy(update=raised)

    def of(self, progress: RunProgress) -> RunProgress:
        """Returns the progress of a run that has ended, with its limits and what counts towards them."""
        if not progress.status.is_final or self._max_turns is None:
            return progress
        changes: dict[str, Any] = {"max_turns": self._max_turns + self._copied_turns}
        if self._budget is not None:
            used = progress.tree_usage or progress.usage
            calls = progress.tool_calls + self._tool_calls_below
            spent = Amount(tokens=used.total_tokens, cost_usd=used.cost_usd, tool_calls=calls)
            changes |= {"budget": self._budget, "spent": spent}
        return progress.model_copy(update=changes)


def _budget(value: Any) -> Budget | None:
    return None if value is None else Budget.model_validate(value)
