"""Updates of runs that their caller may stop waiting for."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from temporalio.client import Client, WithStartWorkflowOperation

T = TypeVar("T")


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
