"""Updates of runs: sent again while a run cannot take them, and abandoned if their caller stops waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any, TypeVar

from temporalio.client import Client, WithStartWorkflowOperation, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from holdfast.errors import RunOver
from holdfast.temporal.connection import translated_errors
from holdfast.types import RunId

T = TypeVar("T")

FIRST_PAUSE, LONGEST_PAUSE = 0.02, 1.0  # seconds between attempts, while a run takes other updates or continues as new
ABORTED = "update was aborted"
"""What Temporal says, with the status of an unavailable server, of an update whose run it has to load again."""


async def awaited(update: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
    """Awaits an update in a task of its own, and abandons it if it takes too long or the caller is cancelled.

    Temporal's SDK raises an ordinary error if an update is cancelled, which would hide from `asyncio.timeout` and from
    whoever else cancels the caller that it was.

    Args:
        update: the call of Temporal's client; it may still reach the run after it has been abandoned.
        timeout: seconds to wait; `None` means without limit.

    Raises:
        TimeoutError: it has taken longer.
    """
    task = asyncio.create_task(update)
    try:
        done, _ = await asyncio.wait([task], timeout=timeout)
        if not done:
            raise TimeoutError
        return task.result()
    finally:
        await _abandon(task)


async def update_with_start(
    client: Client, name: str, payload: Any, start: WithStartWorkflowOperation[Any, Any], **options: Any
) -> Any:
    """Sends an update together with the start of its run, as `execute_update_with_start_workflow` of the client does.

    The SDK keeps an error for those who ask for the handle of the run, which asyncio reports if nobody does.
    """
    handle = asyncio.create_task(start.workflow_handle())
    try:
        return await client.execute_update_with_start_workflow(name, payload, start_workflow_operation=start, **options)
    finally:
        await _abandon(handle)


async def _abandon(task: asyncio.Task[Any]) -> None:
    """Cancels a task, unless it has ended, and takes its outcome, as asyncio reports an error that nobody has taken."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


class NotNow(Exception):
    """The run cannot take an update at the moment."""


def pauses() -> Iterator[float]:
    """Yields the seconds between attempts, without end."""
    pause = FIRST_PAUSE
    while True:
        yield pause
        pause = min(2 * pause, LONGEST_PAUSE)


class Updates:
    """Sends updates, each of which must have an id, so that one that arrives twice takes effect once.

    Args:
        client: connected to the namespace of the runs.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    async def send(self, run_id: RunId, update: Callable[[], Awaitable[T]]) -> T:
        """Sends an update until the run takes it, and returns its result.

        Args:
            run_id: the run.
            update: makes one attempt.

        Raises:
            RunOver: the run has ended.
            RunNotFound: no run has this id.
            TemporalUnavailable: the server is unavailable.
        """
        for pause in pauses():
            try:
                with translated_errors(run_id):
                    return await awaited(self.attempt(run_id, update))
            except NotNow:
                await asyncio.sleep(pause)
        raise AssertionError("the pauses do not end")

    async def attempt(self, run_id: RunId, update: Callable[[], Awaitable[T]]) -> T:
        """Makes one attempt.

        Args:
            run_id: the run.
            update: makes it.

        Raises:
            NotNow: the update may be sent again.
            RunOver: the run has ended.
            RPCError: any other error of the server.
        """
        try:
            return await update()
        except RPCError as error:
            # Temporal takes ten updates of a run at a time, and none while a workflow task of the run is repeated.
            if error.status in (RPCStatusCode.RESOURCE_EXHAUSTED, RPCStatusCode.FAILED_PRECONDITION):
                raise NotNow(error.message) from None
            if error.status != RPCStatusCode.NOT_FOUND and ABORTED not in error.message:
                raise
            await self.check_open(run_id)
            raise NotNow(error.message) from None  # the run has continued as new, or the server is busy

    async def check_open(self, run_id: RunId) -> None:
        """Checks that a run has not ended.

        Raises:
            RunOver: it has.
            RPCError: it does not exist, or the server is unavailable.
        """
        description = await self._client.get_workflow_handle(run_id).describe()
        if description.status not in (None, WorkflowExecutionStatus.RUNNING):
            raise RunOver(f"run {run_id!r} has ended ({description.status.name.lower()}); to continue from it, fork it")
