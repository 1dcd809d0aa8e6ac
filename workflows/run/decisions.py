"""Decisions of people in a run: kept until they are acted on, and a while longer for those who decide second."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from holdfast.decisions import KEPT_DECISIONS, Decision, Grant, parsed_arguments
from holdfast.progress import Wait
from holdfast.types import ToolCall
from holdfast.workflows.run.state import RunState
from holdfast.workflows.run.waiting import APPROVAL, QUESTION

KEPT_EVENTS = 1_000  # names of events whose newest offset a run remembers


class Decisions:
    """Ends waits by decisions, and remembers these.

    Args:
        state: the run, which records waits and their ends.
    """

    def __init__(self, state: RunState) -> None:
        self._state = state
        self._carried = state.decisions

    def of(self, wait_id: str) -> Decision | None:
        """Returns how a wait has ended; `None` if it has not."""
        return self._carried.decisions.get(wait_id)

    def end(self, now: datetime, wait: Wait, decision: Decision, **facts: Any) -> None:
        """Ends an open wait and records how.

        Args:
            now: workflow time.
            wait: the wait.
            decision: how it ended.
            facts: further data of the entry.
        """
        told = {name: value for name, value in (("by", decision.by), ("text", decision.text)) if value is not None}
        self._state.end_wait(now, wait.id, decision.outcome, **told, **facts)
        self._state.waits_changed = True
        if "elicitation" in wait.data:  # kept until the call is continued, maybe by the next execution
            decision.data = wait.data["elicitation"]
        decisions = self._carried.decisions
        decisions[wait.id] = decision
        for old in list(decisions)[: max(len(decisions) - KEPT_DECISIONS, 0)]:
            if not self._is_pending(old):
                del decisions[old]

    def forget_details(self, wait_id: str) -> None:
        """Forgets what a decision was about once it is acted on; who decided stays."""
        if (decision := self.of(wait_id)) is not None:
            self._carried.decisions[wait_id] = Decision(outcome=decision.outcome, by=decision.by)

    def receive(self, name: str, offset: int) -> None:
        """Remembers that the run has received an event, so that its next wait is for a later one."""
        events = self._carried.events
        events.pop(name, None)
        events[name] = offset
        while len(events) > KEPT_EVENTS:
            del events[next(iter(events))]

    def grant(self, grant: Grant) -> None:
        """Remembers an approval that covers later calls."""
        self._carried.grants.append(grant)

    @property
    def grants(self) -> list[Grant]:
        """The approvals that cover later calls."""
        return self._carried.grants

    def granted(self, call: ToolCall) -> Grant | None:
        """Returns the approval of an earlier call that covers this one; `None` if there is none."""
        arguments = parsed_arguments(call.arguments)
        return next((grant for grant in self._carried.grants if grant.covers(call.name, arguments)), None)

    def _is_pending(self, wait_id: str) -> bool:
        of_call = wait_id.removesuffix(APPROVAL).rpartition(QUESTION)[0] or wait_id.removesuffix(APPROVAL)
        return any(of_call == self._state.wait_id(call) for call in self._state.pending_calls)
