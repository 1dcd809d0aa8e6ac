"""The end of a child run: as Temporal tells its parent, and what that means for the call that asked it."""

from __future__ import annotations

from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError, CancelledError, ChildWorkflowError, TerminatedError
from temporalio.exceptions import TimeoutError as TemporalTimeoutError
from temporalio.workflow import ChildWorkflowHandle

with workflow.unsafe.imports_passed_through():
    from holdfast.bounds import shortened
    from holdfast.budgets import Amount
    from holdfast.children import ChildReport, ChildRun
    from holdfast.errors import ErrorType
    from holdfast.types import RunError, RunId, RunResult, RunStatus, ToolResult, Usage
    from holdfast.workflows import workflow_time
    from holdfast.workflows.calls import MESSAGE_CHARS


SILENT: dict[type[BaseException], tuple[RunStatus, str, str]] = {
    CancelledError: (RunStatus.CANCELLED, ErrorType.CANCELLED, "the run was cancelled"),
    TerminatedError: (RunStatus.TERMINATED, ErrorType.TERMINATED, "the run was terminated"),
    TemporalTimeoutError: (RunStatus.TIMED_OUT, ErrorType.TIMED_OUT, "Temporal ended the run"),
}
"""Ends of which Temporal tells no result."""


def end_of(run: RunId, handle: ChildWorkflowHandle[Any, Any]) -> ChildReport:
    """Returns the end of a child whose handle is done."""
    if handle.cancelled():
        return _silent(run, *SILENT[CancelledError])
    error = handle.exception()
    if error is None:
        return ChildReport.of(handle.result())
    cause = error.cause if isinstance(error, ChildWorkflowError) else error
    if isinstance(cause, ApplicationError):
        try:
            return ChildReport.of(RunResult.model_validate(cause.details[0]))
        except (IndexError, ValueError):  # it failed before it began
            return _silent(run, RunStatus.FAILED, cause.type or ErrorType.INTERNAL, cause.message)
    for kind, facts in SILENT.items():
        if isinstance(cause, kind):
            return _silent(run, *facts)
    return _silent(run, RunStatus.FAILED, ErrorType.INTERNAL, str(cause or error))


def _silent(run: RunId, status: RunStatus, kind: str, message: str) -> ChildReport:
    return ChildReport(run=run, status=status, error=RunError(type=kind, message=shortened(message, MESSAGE_CHARS)))


def answer_of(child: ChildRun) -> ToolResult:
    """Returns the result of the call that has asked a child."""
    facts: dict[str, Any] = {
        "run": child.run,
        "usage": child.usage,
        "seconds": (workflow_time.now() - child.started_at).total_seconds(),
    }
    if child.status == RunStatus.COMPLETED:
        return ToolResult(content=child.output, **facts)
    why = f": {child.error.type}: {child.error.message}" if child.error else ""
    error = f"the run {child.run} of agent {child.agent!r} did not answer, it is {child.status}{why}"
    return ToolResult(error=error, **facts)


def used_by(report: ChildReport) -> Amount | None:
    """Returns what a child has used of its part of the budget; `None` if it was ended from outside and cannot tell."""
    if report.usage == Usage() and report.status in (RunStatus.TERMINATED, RunStatus.TIMED_OUT):
        return None
    return Amount(tokens=report.usage.total_tokens, cost_usd=report.usage.cost_usd, tool_calls=report.tool_calls)
