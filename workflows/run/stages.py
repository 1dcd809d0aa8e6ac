"""The stages that calls of tools enter, as signals of their workers tell the run."""

from __future__ import annotations

import asyncio

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from holdfast.call_progress import ToolProgress
    from holdfast.workflows.run.outbox import Outbox
    from holdfast.workflows.run.state import RunState
    from holdfast.workflows.run.view import View


class Stages:
    """Records each stage at once, and shows the newest one in lists and in the mirror, at most once a second."""

    def __init__(self, state: RunState, view: View, outbox: Outbox) -> None:
        self._state = state
        self._view = view
        self._outbox = outbox
        self._showing: asyncio.Task[None] | None = None

    def enter(self, report: ToolProgress) -> None:
        """Takes note that a call has entered a stage; one that comes too late is ignored."""
        if self._state.status.is_final or not self._state.enter_stage(workflow.now(), report):
            return
        if self._showing is None or self._showing.done():
            self._showing = asyncio.create_task(self._show())

    async def _show(self) -> None:
        if (rest := self._view.rest) > 0:
            await workflow.sleep(rest, summary="before the stage is shown")
        if not self._state.status.is_final:
            self._view.update(now=True)
            self._outbox.send()
