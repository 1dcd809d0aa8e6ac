"""Observation of a test's worker: which runs it works for."""

from __future__ import annotations

from typing import Any

from temporalio import activity, client
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput
from temporalio.worker import Interceptor as WorkerInterceptor
from typing_extensions import override

from holdfast.names import AGENT_RUN
from holdfast.types import RunId


class Interceptor(client.Interceptor, WorkerInterceptor):
    """An interceptor of a client that changes nothing but the client's workers."""


class ObservedCalls(Interceptor):
    """Remembers the runs whose calls a worker makes.

    Attributes:
        runs: their ids, in the order in which they began.
    """

    def __init__(self) -> None:
        self.runs: dict[RunId, None] = {}

    @override
    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Observed(next, self.runs)


class _Observed(ActivityInboundInterceptor):
    def __init__(self, following: ActivityInboundInterceptor, runs: dict[RunId, None]) -> None:
        super().__init__(following)
        self._runs = runs

    @override
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info = activity.info()
        if info.workflow_type == AGENT_RUN and info.workflow_id is not None:
            self._runs[info.workflow_id] = None
        return await super().execute_activity(input)
