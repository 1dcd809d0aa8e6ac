"""The wait of a session for its next message."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from holdfast.progress import Wait
    from holdfast.workflows import workflow_time
    from holdfast.workflows.run.open_wait import time_until
    from holdfast.workflows.run.state import RunState
    from holdfast.workflows.run.waiting import NEXT_MESSAGE


async def has_next_message(state: RunState, is_continuing: Callable[[], bool]) -> bool:
    """Waits until a session has a message, or something else to do.

    Args:
        state: the session.
        is_continuing: whether it is to continue as new.

    Returns:
        False if the session has been idle for as long as it may.
    """
    now, idle = workflow_time.now(), state.request.idle_limit
    wait = state.open_waits.setdefault(
        NEXT_MESSAGE,
        Wait(
            id=NEXT_MESSAGE,
            kind="message",
            since=now,
            until=None if idle is None else now + timedelta(seconds=idle),
            what="the next message",
        ),
    )
    try:
        await workflow.wait_condition(
            lambda: bool(state.queue) or state.paused or state.context.is_disturbed or is_continuing(),
            timeout=time_until(wait.until),
            timeout_summary="the idle limit of the session",
        )
    except TimeoutError:
        if not state.queue and not state.context.is_disturbed:  # by a command of the same workflow task
            del state.open_waits[NEXT_MESSAGE]
            return False
    if state.queue:
        state.open_waits.pop(NEXT_MESSAGE, None)
    return True
