"""Concurrent tool calls of a turn. A failed call is data for the model and does not fail the run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError, TimeoutType
from temporalio.exceptions import TimeoutError as TemporalTimeoutError

with workflow.unsafe.imports_passed_through():
    from holdfast.protocol import ToolInvocation
    from holdfast.types import ToolCall, ToolResult, ToolSpec
    from holdfast.workflows import options
    from holdfast.workflows.calls import call_activity
    from holdfast.workflows.state import RunState
    from holdfast.workflows.turn import describe_call, refuse_call, tools_by_name
    from holdfast.workflows.view import View


class ToolCaller:
    """Calls tools; each tool is an activity type of its own."""

    def __init__(self, state: RunState, view: View) -> None:
        self._state = state
        self._view = view
        self._tools = tools_by_name(state.plan.spec)
        self._slots = asyncio.Semaphore(options.MAX_PARALLEL_TOOLS)

    async def call_all(self, calls: list[ToolCall]) -> AsyncIterator[tuple[ToolCall, ToolResult]]:
        """Yields each call with its result, in the order in which they end.

        A cancel cancels the calls in flight and still yields their results.
        """
        self._view.show_activity(f"turn {self._state.turns}: {', '.join(describe_call(call) for call in calls[:5])}")
        tasks = {asyncio.create_task(self._call(call)): call for call in calls}
        pending = list(tasks)
        while pending:
            done, pending = await self._next(pending)
            for task in done:
                yield tasks[task], task.result()

    async def _next(
        self, pending: list[asyncio.Task[ToolResult]]
    ) -> tuple[list[asyncio.Task[ToolResult]], list[asyncio.Task[ToolResult]]]:
        while True:
            try:
                return await workflow.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            except asyncio.CancelledError:
                for task in pending:
                    task.cancel()

    async def _call(self, call: ToolCall) -> ToolResult:
        refusal = refuse_call(call, self._tools)
        if refusal is not None:
            return ToolResult(error=refusal)
        tool = self._tools[call.name]
        try:
            async with self._slots:
                return await self._execute(call, tool)
        except ActivityError as error:
            return ToolResult(error=explain(error, tool))
        except ApplicationError as error:
            return ToolResult(error=error.message)
        except asyncio.CancelledError:
            return ToolResult(error="the run was stopped before this call was made")

    async def _execute(self, call: ToolCall, tool: ToolSpec) -> ToolResult:
        state = self._state
        return await call_activity(
            tool.activity,
            ToolInvocation(
                run_id=state.run_id,
                agent=state.plan.spec.name,
                turn=state.turns,
                call=call,
                workspace=state.plan.workspace,
            ),
            ToolResult,
            summary=call.name if state.plan.private else describe_call(call),
            **options.tool_call(tool),
        )


def explain(error: ActivityError, tool: ToolSpec) -> str:
    """Returns why a call has no result, in words that the model can act on."""
    cause = error.cause
    if isinstance(cause, CancelledError):
        return "the run was stopped while this tool ran"
    if isinstance(cause, TemporalTimeoutError):
        if cause.type == TimeoutType.HEARTBEAT and not tool.repeatable:
            return (
                "the worker was lost or did not respond while this tool ran, and it is unknown whether the call took "
                "effect; check before you repeat it"
            )
        if cause.type == TimeoutType.HEARTBEAT:
            attempts = options.REPEATABLE_TOOL_ATTEMPTS
            return f"the worker was lost or did not respond while this tool ran, {attempts} times in a row"
        return f"the tool did not end within {tool.timeout:g} s"
    if isinstance(cause, ApplicationError):
        return cause.message
    return str(cause or error)
