"""The local Temporal server: how it is started, and when it is ready."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from pathlib import Path

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, UpdateNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from holdfast.errors import TemporalUnavailable
from holdfast.search_attributes import SEARCH_ATTRIBUTES
from holdfast.stack import process
from holdfast.stack.binary import ServerBinary
from holdfast.stack.claims import Claim
from holdfast.stack.sockets import LOOPBACK
from holdfast.stack.state import Part
from holdfast.temporal.connection import connect_temporal
from holdfast.temporal.visibility import missing

TUNING = (
    # SQLite's rollback journal syncs twice for a commit; the write-ahead log once.
    ("--sqlite-pragma", "journal_mode=WAL"),
    # A commit is on the disk before it is acknowledged: a power cut loses nothing. NORMAL would be a quarter faster.
    ("--sqlite-pragma", "synchronous=FULL"),
    # The server has one shard, and its queues are polled 20 times a second by default: 100 ms for each step of a run.
    ("--dynamic-config-value", "history.transferProcessorMaxPollRPS=5000"),
    ("--dynamic-config-value", "history.timerProcessorMaxPollRPS=5000"),
    ("--dynamic-config-value", "history.visibilityProcessorMaxPollRPS=5000"),
    # With the default of four partitions a task can lie for two seconds in one that no poller is at.
    ("--dynamic-config-value", "matching.numTaskqueueReadPartitions=1"),
    ("--dynamic-config-value", "matching.numTaskqueueWritePartitions=1"),
    # A timer that is due within a second may be put off by one: each retry, and so each recovery, would come late.
    ("--dynamic-config-value", 'history.timerProcessorMaxTimeShift="10ms"'),
    # A worker that asks for an activity may run it itself, at once: a turn is a third faster.
    ("--dynamic-config-value", "system.enableActivityEagerExecution=true"),
    # Priorities and fairness: a batch of a thousand runs does not keep a single one waiting. No cost was measured.
    ("--dynamic-config-value", "matching.useNewMatcher=true"),
    ("--dynamic-config-value", "matching.enableFairness=true"),
    # Below this the server tells of every poll that a stopped worker leaves behind.
    ("--log-level", "warn"),
)
"""What makes the development server ten times faster than it is by default, and no less safe."""

DEFAULT_RETENTION = timedelta(hours=24)  # what the development server gives its namespaces
RETENTION = timedelta(days=90)  # history is where the truth is: `doctor` and `fork` read it long after a run

START_TIMEOUT = 30.0  # seconds; a start takes half a second, on a new database and a busy machine some more
ANSWER_TIMEOUT = 5.0  # seconds for one attempt to connect and to be answered
RETRY_INTERVAL = 0.05  # seconds between attempts while the server starts


class UnknownNamespace(TemporalUnavailable):
    """The server answers and does not have the namespace."""


def spawn(
    binary: ServerBinary,
    home: Path,
    namespace: str,
    ports: tuple[int, int],
    claim: Claim,
    *,
    codec_endpoint: str | None = None,
) -> Part:
    """Starts the server in the background.

    Args:
        binary: the program.
        home: the state folder: the database and the log stand there.
        namespace: made if the database does not have it.
        ports: of the server and of its UI.
        claim: its place, which the process inherits.
        codec_endpoint: where its UI has payloads decrypted; None: nowhere.
    """
    log = home / "logs" / "temporal.log"
    command = [str(binary.path), "server", "start-dev", *_flags(home / "temporal.db", namespace, ports)]
    if codec_endpoint:
        command += ["--ui-codec-endpoint", codec_endpoint]
    pid = process.spawn(command, log, os.environ, keep=claim.inherited)
    part = Part.of("temporal", pid, log, address=f"{LOOPBACK}:{ports[0]}", version=binary.server)
    claim.record(part)
    return part


def _flags(database: Path, namespace: str, ports: tuple[int, int]) -> list[str]:
    port, ui_port = ports
    flags = ["--ip", LOOPBACK, "--port", str(port), "--ui-port", str(ui_port), "--db-filename", str(database)]
    if namespace != "default":  # which the server always makes, and makes twice when told to
        flags += ["--namespace", namespace]
    return [*flags, *(word for flag in TUNING for word in flag)]


async def connect(address: str, namespace: str) -> Client:
    """Connects, and makes sure that the server answers for the namespace.

    Raises:
        UnknownNamespace: it has no such namespace.
        TemporalUnavailable: it does not answer.
    """
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT):
            client = await connect_temporal(address, namespace)
            await _retention(client)
    except TimeoutError as error:
        raise TemporalUnavailable(f"the Temporal server at {address} does not answer") from error
    except RPCError as error:
        if error.status == RPCStatusCode.PERMISSION_DENIED:
            return client  # it answers; describing a namespace is not for everyone
        if error.status == RPCStatusCode.NOT_FOUND:
            raise UnknownNamespace(f"the Temporal server at {address} has no namespace {namespace!r}") from error
        raise TemporalUnavailable(f"the Temporal server at {address} does not answer: {error.message}") from error
    return client


async def ready(part: Part, namespace: str, log_start: int = 0) -> Client:
    """Waits until a server of the stack answers.

    Raises:
        UnknownNamespace: it was started for another namespace.
        TemporalUnavailable: it ended, or did not answer in time; the message has the end of its log.
    """
    assert part.address is not None
    loop = asyncio.get_running_loop()
    deadline = loop.time() + START_TIMEOUT
    while True:
        try:
            client = await connect(part.address, namespace)
        except UnknownNamespace:
            raise
        except TemporalUnavailable as error:
            if not part.is_alive:
                raise TemporalUnavailable(_obituary(part, "ended", log_start)) from error
            if loop.time() >= deadline:
                raise TemporalUnavailable(
                    _obituary(part, f"does not answer after {START_TIMEOUT:.0f} s", log_start)
                ) from error
            await asyncio.sleep(RETRY_INTERVAL)
        else:
            if not part.is_alive:  # then it is somebody else who answers there
                raise TemporalUnavailable(_obituary(part, "ended, and another one answers at its address", log_start))
            return client


def _obituary(part: Part, fate: str, log_start: int) -> str:
    return f"the Temporal server {fate}; its log, {part.log}, ends:\n{process.tail(part.log, log_start)}"


async def prepare_namespace(client: Client) -> None:
    """Gives the namespace long retention and our search attributes.

    The server's flag for search attributes is of no use here: it leaves out a namespace that is there already.
    """
    names = await missing(client)
    if names:
        kinds = {
            name: IndexedValueType.Value(f"INDEXED_VALUE_TYPE_{SEARCH_ATTRIBUTES[name].upper()}") for name in names
        }
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(namespace=client.namespace, search_attributes=kinds)
        )
    if await _retention(client) == DEFAULT_RETENTION:  # else somebody has chosen it
        config = NamespaceConfig()
        config.workflow_execution_retention_ttl.FromTimedelta(RETENTION)
        await client.workflow_service.update_namespace(
            UpdateNamespaceRequest(namespace=client.namespace, config=config)
        )


async def _retention(client: Client) -> timedelta:
    answer = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
    return answer.config.workflow_execution_retention_ttl.ToTimedelta()
