"""Parents and children of runs that were ended from outside, which could not tell them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from holdfast import names
from holdfast._util.logger import get_logger
from holdfast.bounds import indexed
from holdfast.children import ChildReport
from holdfast.temporal.connection import translated_errors
from holdfast.temporal.executions import quoted
from holdfast.types import RunId, RunSummary

log = get_logger(__name__)


class Relatives:
    """Tells the parent of a run that it has ended, and cancels its children.

    Temporal would end the children of a terminated run by itself, but then also those of a run that continues as new.

    Args:
        client: connected to the namespace of the runs.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    async def run_ended(self, run: RunSummary) -> None:
        """Takes note that a run has ended; may be repeated.

        Raises:
            Unavailable: Temporal is unavailable.
        """
        if run.parent is not None:
            await self._tell(run.parent, run)
        async for child in self._open_children(run.run_id):
            log.info("a child run is cancelled, as its parent has ended", run_id=child, parent=run.run_id)
            with translated_errors(child):
                await _if_open(self._client.get_workflow_handle(child).cancel())

    async def _open_children(self, run_id: RunId) -> AsyncIterator[RunId]:
        query = f"WorkflowType = '{names.AGENT_RUN}' AND AgentParent = {quoted(indexed(run_id))}"
        with translated_errors(run_id):
            async for child in self._client.list_workflows(f"{query} AND ExecutionStatus = 'Running'"):
                yield child.id

    async def _tell(self, parent: RunId, run: RunSummary) -> None:
        usage = run.tree_usage or run.usage
        report = ChildReport(run=run.run_id, status=run.status, usage=usage, error=run.error)
        with translated_errors(parent):
            await _if_open(self._client.get_workflow_handle(parent).signal(names.SIGNAL_CHILD, report))


async def _if_open(request: Awaitable[None]) -> None:
    """Makes a request to a run, which may have ended."""
    try:
        await request
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
