"""Connection to Temporal, and translation of its errors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client, HeaderCodecBehavior, WorkflowQueryFailedError
from temporalio.converter import DataConverter
from temporalio.envconfig import ClientConfig
from temporalio.runtime import Runtime, TelemetryConfig
from temporalio.service import RPCError, RPCStatusCode

from holdfast._util.native_threads import await_native_threads_at_exit
from holdfast.errors import (
    HoldfastError,
    PayloadUnreadable,
    QueryRefused,
    RunNotFound,
    SettingsError,
    TemporalUnavailable,
    WorkerUnavailable,
)
from holdfast.temporal.converter import DATA_CONVERTER
from holdfast.temporal.trace_link import TraceLink

TASK_FAILS = "Workflow Task in failed state"
"""Part of the server's answer to a query of a run whose newest workflow task failed, open or closed."""
POLL_DURATION = timedelta(seconds=75)  # a poll lasts up to 60; Temporal lists a worker that is gone for five minutes
NO_NAMESPACE = re.compile(r"^Namespace (\S+) is not found")  # as the server says it
DENYING = {RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED}
NOT_ANSWERING = {RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED}


async def connect_temporal(
    address: str,
    namespace: str = "default",
    *,
    identity: str | None = None,
    converter: DataConverter = DATA_CONVERTER,
    runtime: Runtime | None = None,
) -> Client:
    """Connects to Temporal; TLS, API keys and profiles come from Temporal's TEMPORAL_* variables and config file.

    They are those of another server, and not used, if `address` is on this machine and not the one that they name.

    Args:
        address: host:port.
        namespace: an existing namespace.
        identity: this client's name in Temporal's UI.
        converter: the default reads neither large nor encrypted payloads; see
            `holdfast.composition.persistence.converter`.
        runtime: of the SDK's native part; `None` means one that logs nothing.

    Raises:
        TemporalUnavailable: no server answers at `address`.
    """
    await_native_threads_at_exit()
    config = ClientConfig.load_client_connect_config()
    if _is_loopback(address) and config.get("target_host") != address:
        config = {}
    config["target_host"], config["namespace"] = address, namespace
    try:
        return await Client.connect(
            **config,
            data_converter=converter,
            identity=identity,
            runtime=runtime or quiet_runtime(),
            header_codec_behavior=HeaderCodecBehavior.CODEC,
            interceptors=[TraceLink()],
        )
    except (RPCError, RuntimeError) as error:
        raise TemporalUnavailable(f"no Temporal server answers at {address}: {error}") from error


def _is_loopback(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


@cache
def quiet_runtime() -> Runtime:
    """Returns a runtime whose native part logs nothing: a call that fails raises an error anyway.

    By default it logs to standard output. Forwarding to Python's logging can abort an interpreter that shuts down.
    """
    return Runtime(telemetry=TelemetryConfig(logging=None))


async def pollers(client: Client, task_queue: str) -> list[PollerInfo]:
    """Returns the workers that poll the task queue for workflows.

    Raises:
        RPCError: the server is unavailable or denies the request.
    """
    answer = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=task_queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )
    )
    oldest = datetime.now(UTC) - POLL_DURATION
    return [poller for poller in answer.pollers if poller.last_access_time.ToDatetime(UTC) > oldest]


@contextmanager
def translated_errors(run_id: str | None = None) -> Iterator[None]:
    """Translates Temporal's errors.

    Args:
        run_id: the run that the block is about; `None` means no run in particular.

    Raises:
        SettingsError: the server does not have the namespace.
        RunNotFound: no run has this id.
        QueryRefused: the run rejects the query.
        WorkerUnavailable: no worker answers the query.
        PayloadUnreadable: a payload is in a store that this client is not connected to.
        TemporalUnavailable: the server is unavailable.
        HoldfastError: any other error, with Temporal's message.
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
            f"run {run_id!r} has payloads in the store; connect with the settings of the store: {error}"
        ) from error


def _translate(run_id: str | None, error: RPCError) -> HoldfastError:
    if error.status in NOT_ANSWERING:
        return TemporalUnavailable(f"Temporal does not answer: {error.message}")
    if error.status in DENYING:
        return HoldfastError(f"Temporal denies the request: {error.message}; check TEMPORAL_API_KEY or the certificate")
    if missing := NO_NAMESPACE.search(error.message):
        return SettingsError(
            f"the Temporal server has no namespace {missing[1]!r}: set TEMPORAL_NAMESPACE to one that it has, "
            f"or create it with `temporal operator namespace create --namespace {missing[1]}`"
        )
    return HoldfastError(f"Temporal: {error.message}") if run_id is None else _about_run(run_id, error)


def _about_run(run_id: str, error: RPCError) -> HoldfastError:
    if error.status == RPCStatusCode.NOT_FOUND:
        return RunNotFound(f"no run {run_id!r}; see `list`")
    if TASK_FAILS in error.message:
        return QueryRefused(f"run {run_id!r} cannot answer, as its workflow task fails: {error.message}")
    if error.status == RPCStatusCode.FAILED_PRECONDITION or "no poller" in error.message:
        return WorkerUnavailable(f"no worker answers for run {run_id!r}: {error.message}")
    return HoldfastError(f"run {run_id!r}: {error.message}")
