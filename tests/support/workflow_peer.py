"""A process that runs workflows and no activities: argument 1 is Temporal's address, 2 the task queue."""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta

from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from holdfast.temporal.connection import connect_temporal
from holdfast.workflows.registered import WORKFLOWS

STICKY = timedelta(seconds=8)  # what is meant for this worker alone waits so long once it is killed


async def main(address: str, task_queue: str) -> None:
    """Serves until it is killed; says when it has begun."""
    client = await connect_temporal(address)
    async with Worker(
        client,
        task_queue=task_queue,
        workflows=WORKFLOWS,
        workflow_runner=UnsandboxedWorkflowRunner(),
        sticky_queue_schedule_to_start_timeout=STICKY,
    ):
        print("serving", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
