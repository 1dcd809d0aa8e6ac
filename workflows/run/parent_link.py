"""Signals of a child run to its parent: when it waits, and, if Temporal does not tell, how it has ended."""

from __future__ import annotations

import asyncio
import json

from temporalio import workflow
from temporalio.exceptions import ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from holdfast import names
    from holdfast.children import ChildReport
    from holdfast.errors import ErrorType
    from holdfast.types import RunError, RunResult, RunStatus
    from holdfast.workflows.run.state import RunState
    from holdfast.workflows.run.tree import leaves
    from holdfast.workflows.signals import tell

RUNNING = json.dumps([RunStatus.RUNNING.value])
"""What a parent assumes of a child that has told nothing."""


class ParentLink:
    """Reports to the run that has started this one; does nothing in a run without a parent."""

    def __init__(self) -> None:
        self._parent: str | None = None
        self._state: RunState | None = None
        self._sender: asyncio.Task[None] | None = None
        self._wants_end = False
        self._has_ended = False

    def begin(self, parent: str | None) -> None:
        """Begins with the parent that the request names, if Temporal knows it as the parent as well."""
        started_by = workflow.info().parent
        if parent is not None and started_by is not None and started_by.workflow_id == parent:
            self._parent = parent

    def follow(self, state: RunState) -> None:
        """Tells the parent from now on when the run waits, and when it continues."""
        self._state = state
        state.tree.reports |= self._wants_end
        if self._parent is not None:
            self._sender = asyncio.create_task(self._report_changes(state, self._parent))

    def ask(self, *, again: bool) -> None:
        """Takes note that the parent wants to be told the end.

        Args:
            again: whether it wants to be told the current status, too.
        """
        self._wants_end = True
        if self._state is not None:
            self._state.tree.reports = True
            if again:
                self._state.tree.told = None

    async def settle(self) -> None:
        """Waits until the parent knows the current status, so that the run can continue as new."""
        state = self._state
        if self._sender is not None and state is not None:
            await workflow.wait_condition(lambda: (state.tree.told or RUNNING) == _shown(state))
            self._sender.cancel()

    async def end(self, result: RunResult) -> None:
        """Reports the end, unless Temporal tells it to the parent: that has no usage of a cancelled run."""
        if self._sender is not None:
            self._sender.cancel()
        if self._parent is None or self._has_ended:
            return
        self._has_ended = True
        if self._wants_end or (self._state and self._state.tree.reports) or result.status == RunStatus.CANCELLED:
            await tell(self._parent, names.SIGNAL_CHILD, ChildReport.of(result))

    async def fail(self, error: BaseException) -> None:
        """Reports the end of a run that has not begun."""
        if self._parent is None or self._has_ended or not self._wants_end:
            return
        self._has_ended = True
        is_cancelled = isinstance(error, asyncio.CancelledError) or is_cancelled_exception(error)
        kind = (error.type if isinstance(error, ApplicationError) else None) or ErrorType.INTERNAL
        report = ChildReport(
            run=workflow.info().workflow_id,
            status=RunStatus.CANCELLED if is_cancelled else RunStatus.FAILED,
            error=RunError(type=ErrorType.CANCELLED if is_cancelled else kind, message=str(error)),
        )
        await tell(self._parent, names.SIGNAL_CHILD, report)

    async def _report_changes(self, state: RunState, parent: str) -> None:
        while True:
            await workflow.wait_condition(lambda: (state.tree.told or RUNNING) != _shown(state))
            shown = _shown(state)
            report = ChildReport(
                run=state.run_id,
                status=state.next_status,
                usage=state.tree.usage(state.usage) or state.usage,
                waits=leaves(state.run_id, list(state.open_waits.values()))
                if state.next_status == RunStatus.WAITING
                else [],
            )
            await tell(parent, names.SIGNAL_CHILD, report)
            state.tree.told = shown


def _shown(state: RunState) -> str:
    """Identifies what the parent shows of the run: its status, and what it waits for."""
    shown = [state.next_status.value]
    if state.next_status == RunStatus.WAITING:
        shown += [wait.id for wait in leaves(state.run_id, list(state.open_waits.values()))]
    return json.dumps(shown)
