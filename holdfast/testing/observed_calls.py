"""Observation of a test's worker: which runs it works for."""

from __future__ import annotations

from typing import Any

from temporalio import activity, client
from temporalio.client import Client
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput
from temporalio.worker import Interceptor as WorkerInterceptor
from typing_extensions import override

from holdfast.names import AGENT_RUN
from holdfast.types import RunId


class Interceptor(client.Interceptor, WorkerInterceptor):
    """An interceptor of a client that changes nothing but the client's workers."""


class ObservedCalls(Interceptor):
    """Remembers what a worker does.

    Attributes:
        runs: ids of the runs whose calls it makes, in the order in which they began.
        activities: the types of these calls, likewise.
    """

    def __init__(self) -> None:
        self.runs: dict[RunId, None] = {}
        self.activities: dict[str, None] = {}

    @override
    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Observed(next, self)


def intercepted(client: Client, *interceptors: Interceptor) -> Client:
    """Returns the same connection, whose workers have these interceptors."""
    config = client.config()
    config["interceptors"] = [*config["interceptors"], *interceptors]
    return Client(**config)


class _Observed(ActivityInboundInterceptor):
    def __init__(self, following: ActivityInboundInterceptor, seen: ObservedCalls) -> None:
        super().__init__(following)
        self._seen = seen

    @override
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info = activity.info()
        if info.workflow_type == AGENT_RUN and info.workflow_id is not None:
            self._seen.runs[info.workflow_id] = None
            if not info.is_local:
                self._seen.activities[info.activity_type] = None
        return await super().execute_activity(input)
