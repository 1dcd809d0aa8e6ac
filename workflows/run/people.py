"""Waiting for people: until a decision, a deadline, the end of the turn, or the end of the execution."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from holdfast.decisions import Decision
    from holdfast.progress import Wait
    from holdfast.workflows import workflow_time
    from holdfast.workflows.run.decisions import Decisions
    from holdfast.workflows.run.gate import Gate
    from holdfast.workflows.run.open_wait import wait_until_over
    from holdfast.workflows.run.state import RunState


class People:
    """Opens waits and waits for their end; it costs an entry at the beginning and one at the end, and nothing between.

    Args:
        state: the run.
        decisions: what has been decided.
        gate: says when the run is to continue as new.
    """

    def __init__(self, state: RunState, decisions: Decisions, gate: Gate) -> None:
        self._state = state
        self._decisions = decisions
        self._gate = gate

    def deadline(self) -> datetime | None:
        """Returns when a wait for a person ends that begins now; `None` means never."""
        limit = self._state.plan.approval_timeout
        return None if limit is None else workflow_time.now() + timedelta(seconds=limit)

    async def decide(self, wait: Wait, *, expired: str = "expired", ready: Callable[[], bool] | None = None) -> bool:
        """Waits until a decision ends the wait, or its deadline does.

        Args:
            wait: begins now, or was begun by an earlier execution.
            expired: its outcome at its deadline.
            ready: whether the wait has its end for another reason; the caller then ends it.

        Returns:
            Whether the wait is over; False means that the run continues as new, and the next execution waits again.

        Raises:
            CancelledError: the turn was stopped; the wait is then withdrawn.
        """
        state = self._state
        if wait.id not in state.open_waits:
            state.waits_changed = True

        def is_over() -> bool:
            return wait.id not in state.open_waits or (ready is not None and ready())

        try:
            await wait_until_over(state, wait, self._gate, ready=ready)
        except TimeoutError:
            if not is_over():  # a decision in the same workflow task counts
                self._decisions.end(workflow_time.now(), wait, Decision(outcome=expired))
        except asyncio.CancelledError:
            if not state.keeps_waits and wait.id in state.open_waits:
                self._decisions.end(workflow_time.now(), wait, Decision(outcome="withdrawn"))
            raise
        return is_over()
