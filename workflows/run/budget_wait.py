"""Waiting for a larger budget, and the command that raises it."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from holdfast.budgets import Budget
    from holdfast.commands import RAISABLE, RaiseBudget
    from holdfast.progress import Wait
    from holdfast.workflows import workflow_time
    from holdfast.workflows.run.control import Refusal
    from holdfast.workflows.run.gate import Gate
    from holdfast.workflows.run.open_wait import wait_until_over
    from holdfast.workflows.run.state import RunState

BUDGET = "budget"
"""Id of the wait of a run for a larger budget."""
NEXT_DAY = "the next day of the daily budget"
"""What the timer of such a wait is for, in Temporal's UI."""
WORDS = {
    "cost_usd": "cost",
    "tokens": "tokens",
    "tool_calls": "tool calls",
    "turns": "turns",
    "seconds": "running time",
}


class BudgetWait:
    """Waits until a person has raised the budget of a run.

    Args:
        state: the run.
        gate: says when the run is to continue as new.
    """

    def __init__(self, state: RunState, gate: Gate) -> None:
        self._state = state
        self._gate = gate

    async def take(self, what: str, *, until: datetime | None = None, **facts: Any) -> None:
        """Waits; the caller then tries again.

        Args:
            what: why, for people.
            until: when the wait ends by itself.
            facts: for programs.
        """
        state, now = self._state, workflow_time.now()
        wait = Wait(id=BUDGET, kind="budget", since=now, until=until, what=what, data=facts)
        try:
            await wait_until_over(state, wait, self._gate, ready=self._is_given_up, summary=NEXT_DAY)
        except TimeoutError:
            state.end_wait(workflow_time.now(), BUDGET, "due")
        if self._is_given_up() and BUDGET in state.open_waits:
            state.end_wait(workflow_time.now(), BUDGET, "withdrawn")

    def _is_given_up(self) -> bool:
        """Whether a command has stopped the turn, or takes the run back."""
        return self._state.interrupted or self._state.context.restore_to is not None


class BudgetCommand:
    """Raises the limits of a run.

    Args:
        state: the run.
    """

    def __init__(self, state: RunState) -> None:
        self._state = state

    def check(self, command: RaiseBudget) -> None:
        """Refuses limits that the run does not have, or that are no higher than now."""
        limits = command.limits
        if not limits and BUDGET not in self._state.open_waits:
            raise Refusal(f"name the limit to raise, and its new value: {', '.join(RAISABLE)}")
        for name, value in limits.items():
            known = self._limit(name)
            if known is None:
                raise Refusal(f"the run has no limit of its {WORDS[name]}, so there is nothing to raise")
            if value <= known:
                raise Refusal(f"the limit of its {WORDS[name]} is {known:g} already; name a higher one, not {value:g}")

    def apply(self, command: RaiseBudget, _seq: int) -> None:
        """Raises the limits, and ends the wait for them."""
        state, limits = self._state, command.limits
        plan = state.plan
        raised = {name: value for name, value in limits.items() if name in Budget.model_fields}
        changes: dict[str, Any] = {}
        if raised and plan.budget:
            changes["budget"] = plan.budget.model_copy(update=raised)
        if command.turns is not None:
            changes["spec"] = plan.spec.model_copy(update={"max_turns": command.turns})
        if command.seconds is not None:
            changes["timeout"] = command.seconds
            state.clock.extend(command.seconds)
        state.plan = plan.model_copy(update=changes)
        if BUDGET in state.open_waits:
            state.end_wait(workflow_time.now(), BUDGET, "raised", **({"by": command.by} if command.by else {}))

    def _limit(self, name: str) -> float | None:
        plan = self._state.plan
        match name:
            case "turns":
                return plan.spec.max_turns
            case "seconds":
                return plan.timeout
        value: float | None = getattr(plan.budget, name, None)
        return value


def next_day(now: datetime) -> datetime:
    """Returns when the next day of UTC begins."""
    return datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), time(), UTC)
