"""Rates of task queues, which the server enforces over all workers."""

from __future__ import annotations

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import RateLimit
from temporalio.api.workflowservice.v1 import UpdateTaskQueueConfigRequest
from temporalio.client import Client
from temporalio.service import RPCError

from holdfast._util.logger import get_logger

log = get_logger(__name__)

REASON = "MODEL_CALLS_PER_SECOND"  # shown by `temporal task-queue config get`


async def limit_rate(client: Client, task_queue: str, per_second: float) -> None:
    """Limits the rate at which the server hands out the activities of a task queue; it keeps the limit.

    A server that refuses is left to the limit that each worker sends when it polls: servers before 1.29 know no other.
    """
    update = UpdateTaskQueueConfigRequest.RateLimitUpdate(
        rate_limit=RateLimit(requests_per_second=per_second), reason=REASON
    )
    request = UpdateTaskQueueConfigRequest(
        namespace=client.namespace,
        identity=client.service_client.config.identity,
        task_queue=task_queue,
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
        update_queue_rate_limit=update,
    )
    try:
        await client.workflow_service.update_task_queue_config(request)
    except RPCError as error:
        log.warning(
            "the server does not keep the rate of a task queue; the workers' own limit is in effect",
            task_queue=task_queue,
            per_second=per_second,
            reason=error.message,
        )
