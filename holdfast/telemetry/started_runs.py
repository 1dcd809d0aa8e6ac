"""Traces of runs, read from their histories, for runs that were ended from outside."""

from __future__ import annotations

from collections.abc import Sequence

from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.service import RPCError

from holdfast.telemetry.run_trace import RunTrace, TraceOrigin
from holdfast.types import MirroredRun


class StartedRuns:
    """Reads what runs were told of their traces when they started.

    Args:
        client: connected to the namespace of the runs.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    async def trace_of(self, run: MirroredRun) -> RunTrace | None:
        """Returns the trace of a run; `None` if its history cannot be read."""
        handle = self._client.get_workflow_handle(run.summary.run_id)
        try:
            async for event in handle.fetch_history_events(page_size=1):
                fields = event.workflow_execution_started_event_attributes.header.fields
                decoded = await self._decoded(list(fields.values()))
                return TraceOrigin.of_start(dict(zip(fields, decoded, strict=True))).run(run.chain)
        except (RPCError, RuntimeError, ValueError):
            return None
        return None

    async def _decoded(self, payloads: Sequence[Payload]) -> Sequence[Payload]:
        codec = self._client.data_converter.payload_codec
        return await codec.decode(payloads) if codec and payloads else payloads
