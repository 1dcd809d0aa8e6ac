"""The gate before each call of a run: closed while the run is paused, and once it is to continue as new."""

from __future__ import annotations

from collections.abc import Callable

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from holdfast.workflows.run.state import RunState


class Gate:
    """Decides whether the next call may begin.

    Args:
        state: the run.
        is_continuing: whether the run is to continue as new, so that no further call is begun.
    """

    def __init__(self, state: RunState, is_continuing: Callable[[], bool]) -> None:
        self._state = state
        self.is_continuing = is_continuing

    async def is_open(self) -> bool:
        """Waits while the run is paused, and returns whether a call may begin."""
        state = self._state
        if state.paused:
            await workflow.wait_condition(
                lambda: not state.paused or bool(state.context.restore_to) or self.is_continuing()
            )
        return not state.paused and not state.context.restore_to and not self.is_continuing()
