"""The budget of a run: what its calls reserve, and why one cannot be made."""

from __future__ import annotations

from dataclasses import replace

from holdfast.budgets import Amount, Budget
from holdfast.errors import ErrorType
from holdfast.estimates import message_size, request_tokens, tokens
from holdfast.model_reply import ModelReply
from holdfast.types import RunError, ToolCall, ToolResult
from holdfast.workflows.run.budget import (
    Account,
    CallPlan,
    Shortage,
    allowed_calls,
    plan_call,
    refund,
    set_aside,
    settle,
)
from holdfast.workflows.run.state import RunState

CALL = "call"
"""Key of what the model call in flight has reserved."""


class RunBudget:
    """Reserves the calls of a run, and settles them.

    Args:
        state: the run; its plan has the budget.
    """

    def __init__(self, state: RunState) -> None:
        self._state = state

    @property
    def asks(self) -> bool:
        """Whether the run waits for a person at a limit."""
        return self._limits.asks

    @property
    def account(self) -> Account:
        """The budget with what the run and its children have used."""
        state = self._state
        own = Amount(tokens=state.usage.total_tokens, cost_usd=state.usage.cost_usd, tool_calls=state.tool_calls)
        return Account(self._limits, own + state.budget.children, state.budget.held)

    def plan_call(self) -> CallPlan | Shortage:
        """Returns what the next model call may use, or why it cannot be made."""
        if self._state.plan.budget is None:
            return CallPlan(Amount())
        plan = self._state.plan
        found = plan_call(
            self.account,
            CALL,
            input_tokens=self.context_tokens(),
            settings=self._state.spec.model_settings,
            price=plan.price,
        )
        return found if isinstance(found, Shortage) else found[1]

    def allowed(self, calls: list[ToolCall]) -> list[ToolCall] | Shortage:
        """Returns those of the tool calls that may be made, or why none may."""
        account = self.account
        allowed = calls[: allowed_calls(account, len(calls))]
        if allowed or not calls:
            return allowed
        most = account.budget.tool_calls or 0
        return Shortage("tool_calls", most, account.used.tool_calls, account.held_of("tool_calls"), 1)

    def turns(self) -> Shortage:
        """Returns why no further turn can be taken."""
        most = self._state.plan.spec.max_turns
        return Shortage("turns", most, self._state.turns - self._state.exchange, 0, 1)

    def set_aside(self, child: str, *, shares: int, wanted: Budget | None = None) -> Budget | Shortage:
        """Sets a slice of the budget aside for a child, and returns it; see `budget.set_aside`.

        The calls of the turn that have no result yet, among them the one that asks the child, count as made.
        """
        account = self.account
        calls = Amount(tool_calls=len(self._state.pending_calls))
        found = set_aside(replace(account, used=account.used + calls), child, shares=shares, wanted=wanted)
        if isinstance(found, Shortage):
            return found
        after, budget = found
        self._state.budget.held = dict(after.held)
        return budget.model_copy(update={"on_limit": None, "allow_unpriced": self._limits.allow_unpriced})

    def give_back(self, child: str) -> None:
        """Takes the slice of a child back that has not been started."""
        self._state.budget.held = dict(refund(self.account, child).held)

    def child_ended(self, child: str, used: Amount | None) -> None:
        """Counts what a child and its own children have used, and takes the rest of its slice back.

        Args:
            child: its id.
            used: `None` means that it is not known, so that the whole slice counts as used.
        """
        budget = self._state.budget
        used = budget.held.get(child, Amount()) if used is None else used
        budget.held = dict(settle(self.account, child, used).held)
        budget.children = budget.children + used

    def count_reply(self, reply: ModelReply) -> None:
        """Notes how large the context is after a reply, as the provider counted it."""
        if self._state.plan.budget is None:
            return
        budget = self._state.budget
        is_counted = not reply.partial and reply.attempts == 1 and reply.usage.input_tokens > 0
        size = reply.usage.total_tokens if is_counted else self.context_tokens()
        budget.context_tokens, budget.counted = size, self._state.log.next_message

    def context_tokens(self) -> int:
        """Returns an estimate of the tokens that the next model call sends."""
        state = self._state
        if state.budget.counted == 0:
            return request_tokens(state.spec, state.log.messages)
        new = sum(message_size(message) for message in state.log.messages if message.seq >= state.budget.counted)
        return state.budget.context_tokens + tokens(new)

    def fold(self) -> None:
        """Prepares to continue as new, where the messages of this execution are not in memory."""
        if self._state.plan.budget is not None:
            size, counted = self.context_tokens(), self._state.log.next_message
            self._state.budget.context_tokens, self._state.budget.counted = size, counted

    @property
    def _limits(self) -> Budget:
        return self._state.plan.budget or Budget()


def exceeded(shortage: Shortage) -> RunError:
    """Returns a shortage as the reason why a run ended."""
    return RunError(type=ErrorType.BUDGET_EXCEEDED, message=f"{shortage}; {shortage.advice}")


def not_called(shortage: Shortage) -> ToolResult:
    """Returns the result of a call that the budget does not allow, for the model."""
    return ToolResult(error=f"not called: {shortage}")
