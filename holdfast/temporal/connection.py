"""How Holdfast reaches Temporal, and what Temporal's errors mean here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client, HeaderCodecBehavior, WorkflowQueryFailedError
from temporalio.converter import DataConverter
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError, RPCStatusCode

from holdfast.errors import (
    HoldfastError,
    PayloadUnreadable,
    QueryRefused,
    RunNotFound,
    TemporalUnavailable,
    WorkerUnavailable,
)
from holdfast.temporal.converter import DATA_CONVERTER

NOT_ANSWERING = {RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED}


async def connect_temporal(
    address: str,
    namespace: str = "default",
    *,
    identity: str | None = None,
    converter: DataConverter = DATA_CONVERTER,
) -> Client:
    """Connects; TLS, API keys and profiles come from Temporal's own TEMPORAL_* variables and config file.

    Args:
        address: host:port.
        namespace: must be there.
        identity: this client's name in Temporal's UI.
        converter: the one by itself reads neither large nor encrypted payloads; see
            `holdfast.composition.persistence.converter`.

    Raises:
        TemporalUnavailable: no server answers at `address`.
    """
    config = ClientConfig.load_client_connect_config()
    config["target_host"], config["namespace"] = address, namespace
    try:
        return await Client.connect(
            **config,
            data_converter=converter,
            identity=identity,
            header_codec_behavior=HeaderCodecBehavior.CODEC,
        )
    except (RPCError, RuntimeError) as error:
        raise TemporalUnavailable(f"no Temporal server answers at {address}: {error}") from error


async def pollers(client: Client, task_queue: str) -> list[PollerInfo]:
    """The workers that have polled the task queue for workflows in the last minutes.

    Raises:
        RPCError: the server does not answer, or does not let this client ask.
    """
    answer = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=task_queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )
    )
    return list(answer.pollers)


@contextmanager
def translated_errors(run_id: str) -> Iterator[None]:
    """Turns Temporal's errors about a run into Holdfast's.

    Raises:
        RunNotFound: no run has this id.
        QueryRefused: the run itself refuses to answer.
        WorkerUnavailable: a query found no worker to answer it.
        PayloadUnreadable: what it says is kept where this client does not look.
        TemporalUnavailable: the server does not answer.
        HoldfastError: anything else, in Temporal's words.
    """
    try:
        yield
    except WorkflowQueryFailedError as error:
        raise QueryRefused(f"run {run_id!r} cannot answer: {error}") from error
    except RPCError as error:
        raise _translate(run_id, error) from error
    except RuntimeError as error:
        if "externally stored payload" not in str(error):
            raise
        raise PayloadUnreadable(
            f"run {run_id!r} has payloads that are kept in the store; connect with the store's settings: {error}"
        ) from error


def _translate(run_id: str, error: RPCError) -> HoldfastError:
    if error.status == RPCStatusCode.NOT_FOUND:
        return RunNotFound(f"no run {run_id!r}; see `list`")
    if error.status == RPCStatusCode.FAILED_PRECONDITION or "no poller" in error.message:
        return WorkerUnavailable(f"no worker answers for run {run_id!r}: {error.message}")
    if error.status in NOT_ANSWERING:
        return TemporalUnavailable(f"Temporal does not answer: {error.message}")
    return HoldfastError(f"run {run_id!r}: {error.message}")
