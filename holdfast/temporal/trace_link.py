"""Client interceptor: a run that is started within a span of OpenTelemetry is told that span, to link to it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.client import (
    Interceptor,
    OutboundInterceptor,
    StartWorkflowInput,
    StartWorkflowUpdateWithStartInput,
    WorkflowHandle,
    WorkflowUpdateHandle,
)
from temporalio.converter import PayloadConverter
from typing_extensions import override

from holdfast.names import TRACE_LINK_HEADER


class TraceLink(Interceptor):
    """Adds a header to the start of a run if the caller has an active span; otherwise it changes nothing."""

    @override
    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        return _Starts(next)


class _Starts(OutboundInterceptor):
    @override
    async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[Any, Any]:
        input.headers = _linked(input.headers)
        return await super().start_workflow(input)

    @override
    async def start_update_with_start_workflow(
        self, input: StartWorkflowUpdateWithStartInput
    ) -> WorkflowUpdateHandle[Any]:
        start = input.start_workflow_input
        start.headers = _linked(start.headers)
        return await super().start_update_with_start_workflow(input)


def _linked(headers: Mapping[str, Payload]) -> Mapping[str, Payload]:
    trace: Any = sys.modules.get("opentelemetry.trace")  # who has a span has loaded it
    if trace is None:
        return headers
    span = trace.get_current_span().get_span_context()
    if not span.is_valid:
        return headers
    traceparent = f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags & 1:02x}"
    return {**headers, TRACE_LINK_HEADER: PayloadConverter.default.to_payload(traceparent)}
