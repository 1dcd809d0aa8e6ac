"""A client whose first update the server aborts, after it has arrived."""

from __future__ import annotations

from typing import Any

from temporalio.client import (
    OutboundInterceptor,
    StartWorkflowUpdateInput,
    StartWorkflowUpdateWithStartInput,
    WorkflowUpdateHandle,
)
from temporalio.service import RPCError, RPCStatusCode
from typing_extensions import override

from holdfast.testing.observed_calls import Interceptor


class AbortedOnce(Interceptor):
    """Answers the first update as a server does that has to load its run again meanwhile."""

    @override
    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        return _AbortedOnce(next)


class _AbortedOnce(OutboundInterceptor):
    answers = 0

    @override
    async def start_workflow_update(self, input: StartWorkflowUpdateInput) -> WorkflowUpdateHandle[Any]:
        return self._answered(await super().start_workflow_update(input))

    @override
    async def start_update_with_start_workflow(
        self, input: StartWorkflowUpdateWithStartInput
    ) -> WorkflowUpdateHandle[Any]:
        return self._answered(await super().start_update_with_start_workflow(input))

    def _answered(self, handle: WorkflowUpdateHandle[Any]) -> WorkflowUpdateHandle[Any]:
        self.answers += 1
        if self.answers == 1:
            raise RPCError("workflow update was aborted", RPCStatusCode.UNAVAILABLE, b"")
        return handle
