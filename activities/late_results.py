"""Results that a worker records after it was given up, while a person is asked what became of the call."""

from __future__ import annotations

import asyncio

from temporalio import activity
from temporalio.client import Client, WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.service import RPCError, RPCStatusCode

from holdfast._util.logger import get_logger
from holdfast.commands import MAX_ID_CHARS, Resolve
from holdfast.invocations import ToolInvocation
from holdfast.types import ToolSpec

log = get_logger(__name__)

ATTEMPTS, PAUSE = 15, 2.0
"""Attempts, and seconds between them: a run that was just told that the outcome is unknown may not have asked yet."""
ANSWER_TIMEOUT = 10.0  # seconds for one attempt


class LateResults:
    """Tells runs that the ledger has the result about which they ask a person."""

    def __init__(self) -> None:
        self._reports: set[asyncio.Task[None]] = set()

    def report(self, invocation: ToolInvocation, tool: ToolSpec, owner: str) -> None:
        """Ends the wait of a run, in the background: the attempt that has the result is about to be cancelled.

        Args:
            invocation: the call.
            tool: its tool; nothing is done if it asks nobody.
            owner: identifies the attempt.
        """
        if tool.on_unknown == "ask":
            resolve = Resolve(
                call=invocation.call.id, happened=True, id=f"late-{owner}"[:MAX_ID_CHARS], by="its worker"
            )
            report = asyncio.create_task(_send(activity.client(), invocation.run_id, resolve))
            self._reports.add(report)
            report.add_done_callback(self._reports.discard)


async def _send(client: Client, run_id: str, resolve: Resolve) -> None:
    run, payload, reason = (
        client.get_workflow_handle(run_id),
        resolve.model_dump(mode="json", exclude_defaults=True),
        "",
    )
    for _ in range(ATTEMPTS):
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                await run.execute_update(Resolve.NAME, payload)
        except (WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError, TimeoutError) as error:
            reason = str(error.__cause__ or error)  # nobody is asked yet, or any more; or no worker has answered
        except RPCError as error:  # a busy server aborts updates
            reason = str(error)
            if error.status == RPCStatusCode.NOT_FOUND:
                break
        else:
            return
        await asyncio.sleep(PAUSE)
    log.warning("a late result did not end a wait for a person", run_id=run_id, reason=reason)
