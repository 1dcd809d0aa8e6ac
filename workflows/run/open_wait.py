"""Waiting for the end of what a run has opened a wait for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from holdfast.bounds import shortened
    from holdfast.progress import Wait
    from holdfast.workflows import workflow_time
    from holdfast.workflows.calls import SUMMARY_CHARS
    from holdfast.workflows.run.gate import Gate
    from holdfast.workflows.run.state import RunState


def time_until(moment: datetime | None) -> timedelta | None:
    """Returns how long a timer runs until a moment, at least 0; `None` means without end."""
    return None if moment is None else max(moment - workflow_time.now(), timedelta())


async def wait_until_over(
    state: RunState, wait: Wait, gate: Gate, *, ready: Callable[[], bool] | None = None, summary: str | None = None
) -> None:
    """Opens a wait, and waits until a command ends it, or the run is to continue as new, which carries the wait.

    Args:
        state: the run.
        wait: begins now, or was begun by an earlier execution.
        gate: says when the run is to continue as new.
        ready: whether the wait has its end for another reason; the caller then ends it.
        summary: what Temporal's UI shows of the timer until the deadline; `None` means what the wait is for.

    Raises:
        TimeoutError: its deadline has passed.
        CancelledError: the turn was stopped.
    """
    state.begin_wait(workflow_time.now(), wait)
    await workflow.wait_condition(
        lambda: wait.id not in state.open_waits or (ready is not None and ready()) or gate.is_continuing(),
        timeout=time_until(state.open_waits[wait.id].until),
        timeout_summary=shortened(summary or wait.what, SUMMARY_CHARS),
    )
