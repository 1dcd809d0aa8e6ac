"""The worker of the bare workflow, set up like worker.py: `python -m benchmarks.bare_worker ADDRESS MODEL_URL`."""

from __future__ import annotations

import asyncio
import signal
import sys

from temporalio.worker import PollerBehaviorAutoscaling, UnsandboxedWorkflowRunner, Worker

from benchmarks.bare import Bare, BareActivities
from holdfast.composition.worker import STICKY_TIMEOUT
from holdfast.models import open_model
from holdfast.temporal.connection import connect_temporal

TASK_QUEUE = "bare"


async def run(address: str, model_url: str) -> None:
    """Serves until SIGTERM; its first line says that it is ready."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    model = open_model(openai_api_key=None, openai_base_url=model_url, openrouter_api_key=None, default_model="bench")
    activities = BareActivities(model)
    worker = Worker(
        await connect_temporal(address),
        task_queue=TASK_QUEUE,
        workflows=[Bare],
        activities=[activities.model, activities.lookup, activities.nap],
        workflow_runner=UnsandboxedWorkflowRunner(),  # as worker.py does
        max_cached_workflows=1000,
        max_concurrent_activities=1000,
        workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
        activity_task_poller_behavior=PollerBehaviorAutoscaling(),
        sticky_queue_schedule_to_start_timeout=STICKY_TIMEOUT,
    )
    async with worker:
        print("serves", flush=True)
        await stop.wait()
    await model.close()


if __name__ == "__main__":
    asyncio.run(run(*sys.argv[1:]))
