"""Interceptors of a worker that traces: a run tells its activities and children where their spans belong."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NoReturn

from temporalio import workflow
from temporalio.worker import (
    ActivityInboundInterceptor,
    ContinueAsNewInput,
    ExecuteActivityInput,
    ExecuteWorkflowInput,
    Interceptor,
    StartActivityInput,
    StartChildWorkflowInput,
    StartLocalActivityInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)
from typing_extensions import override

from holdfast import names
from holdfast.telemetry.run_trace import RunTrace, TraceOrigin

Enter = Callable[[RunTrace | None], AbstractContextManager[None]]


class TraceInterceptor(Interceptor):
    """Carries the trace of a run in Temporal's headers. Workflow code makes no spans, so replays make none.

    Args:
        enter: makes a run's trace current while one of its activities is executed.
    """

    def __init__(self, enter: Enter) -> None:
        self._enter = enter

    @override
    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Activity(next, self._enter)

    @override
    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:
        return _Workflow


class _Activity(ActivityInboundInterceptor):
    def __init__(self, inner: ActivityInboundInterceptor, enter: Enter) -> None:
        super().__init__(inner)
        self._enter = enter

    @override
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        with self._enter(RunTrace.of_activity(input.headers)):
            return await super().execute_activity(input)


class _Workflow(WorkflowInboundInterceptor):
    @override
    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        self._outbound = _Outbound(outbound)
        super().init(self._outbound)

    @override
    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
        info = workflow.info()
        if info.workflow_type == names.AGENT_RUN:
            self._outbound.trace = TraceOrigin.of_start(input.headers).run(info.first_execution_run_id)
        elif info.workflow_type == names.TOOL_RUN:
            self._outbound.trace = TraceOrigin.of_start(input.headers).tool_run(info.first_execution_run_id)
        elif names.TRACE_HEADER in input.headers:  # of a workflow that works for a run
            self._outbound.trace = RunTrace.of_activity(input.headers)
        return await super().execute_workflow(input)


class _Outbound(WorkflowOutboundInterceptor):
    trace: RunTrace | None = None
    """`None` in a workflow that does not belong to a run."""

    @override
    def start_activity(self, input: StartActivityInput) -> workflow.ActivityHandle[Any]:
        if self.trace:
            input.headers = self.trace.headers(input.headers)
        return super().start_activity(input)

    @override
    def start_local_activity(self, input: StartLocalActivityInput) -> workflow.ActivityHandle[Any]:
        if self.trace:
            input.headers = self.trace.headers(input.headers)
        return super().start_local_activity(input)

    @override
    async def start_child_workflow(self, input: StartChildWorkflowInput) -> workflow.ChildWorkflowHandle[Any, Any]:
        if self.trace:
            told = self.trace.of_children if input.workflow == names.AGENT_RUN else self.trace
            input.headers = told.headers(input.headers)
        return await super().start_child_workflow(input)

    @override
    def continue_as_new(self, input: ContinueAsNewInput) -> NoReturn:
        if self.trace:
            is_run = workflow.info().workflow_type == names.AGENT_RUN
            told = self.trace.of_next_execution if is_run else self.trace
            input.headers = told.headers(input.headers)
        super().continue_as_new(input)
