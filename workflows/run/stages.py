"""The stages that calls of tools enter: shown while the calls run, in lists and in the mirror."""

from __future__ import annotations

import asyncio

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from holdfast.call_progress import ToolProgress
    from holdfast.workflows import workflow_time
    from holdfast.workflows.run.outbox import Outbox
    from holdfast.workflows.run.state import RunState
    from holdfast.workflows.run.view import View


class Stages:
    """Records each stage at once, and shows the newest one at most once a second."""

    def __init__(self, state: RunState, view: View, outbox: Outbox) -> None:
        self._state = state
        self._view = view
        self._outbox = outbox
        self._shown = state.stage
        self._showing: asyncio.Task[None] | None = None

    def enter(self, report: ToolProgress) -> None:
        """Takes note that a call has entered a stage, as its worker tells; one that comes too late is ignored."""
        if not self._state.status.is_final and self._state.enter_stage(workflow_time.now(), report):
            self._show_soon()

    def show(self) -> None:
        """Shows the stage that the result of a call has told, if it is new; the next model call mirrors it."""
        if self._state.stage is not self._shown:
            self._show_soon()

    def _show_soon(self) -> None:
        if self._showing is None or self._showing.done():
            self._showing = asyncio.create_task(self._show())

    async def _show(self) -> None:
        if (rest := self._view.rest) > 0:
            await workflow.sleep(rest, summary="before the stage is shown")
        state = self._state
        if state.status.is_final:
            return
        self._shown = state.stage
        self._view.update(now=True)
        if state.pending_calls:
            self._outbox.send()
