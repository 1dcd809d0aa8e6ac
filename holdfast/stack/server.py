"""Local Temporal server of the stack: its start, its tuning and its namespace."""

from __future__ import annotations

import asyncio
import os
import re
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
from holdfast.stack import process, sockets
from holdfast.stack.binary import ServerBinary
from holdfast.stack.part_locks import PartLock
from holdfast.stack.server_health import UI_PORT_FLAG
from holdfast.stack.sockets import LOOPBACK
from holdfast.stack.state import Part, log_path
from holdfast.temporal.connection import connect_temporal
from holdfast.temporal.visibility import missing

TUNING = (
    # SQLite's rollback journal syncs twice for a commit; the write-ahead log once.
    ("--sqlite-pragma", "journal_mode=WAL"),
    # A commit is on disk before it is acknowledged, so a power cut loses nothing. NORMAL would be a quarter faster.
    ("--sqlite-pragma", "synchronous=FULL"),
    # The server has one shard, and its queues are polled 20 times a second by default: 100 ms for each step of a run.
    ("--dynamic-config-value", "history.transferProcessorMaxPollRPS=5000"),
    ("--dynamic-config-value", "history.timerProcessorMaxPollRPS=5000"),
    ("--dynamic-config-value", "history.visibilityProcessorMaxPollRPS=5000"),
    # With the default of four partitions, a task can wait for two seconds in one that has no poller.
    ("--dynamic-config-value", "matching.numTaskqueueReadPartitions=1"),
    ("--dynamic-config-value", "matching.numTaskqueueWritePartitions=1"),
    # Without it, timers due within a second may fire a second late, and so would each retry.
    ("--dynamic-config-value", 'history.timerProcessorMaxTimeShift="10ms"'),
    # A worker that schedules an activity may start it immediately, which makes a turn a third faster.
    ("--dynamic-config-value", "system.enableActivityEagerExecution=true"),
    # Priorities and fairness: a batch of a thousand runs does not delay a single one. No cost was measured.
    ("--dynamic-config-value", "matching.useNewMatcher=true"),
    ("--dynamic-config-value", "matching.enableFairness=true"),
    # A page of another site that has its own host name resolve to this machine must not be answered. (The web UI knows
    # no such setting.)
    (
        "--dynamic-config-value",
        'frontend.httpAllowedHosts=["127.0.0.1", "127.0.0.1:*", "localhost", "localhost:*"]',
    ),
    # At lower levels the server logs every poll that a stopped worker leaves behind.
    ("--log-level", "warn"),
)
"""Flags that make the development server ten times faster than by default, with the same durability."""

DATABASE = "temporal.db"
"""In the state folder, where the server runs. SQLite takes a path as a URI, so that of the folder must not be in it."""

DEFAULT_RETENTION = timedelta(hours=24)  # of namespaces of the development server
RETENTION = timedelta(days=90)  # history is authoritative, and `doctor` and `fork` read it long after a run

RUNNING_TIMEOUT = 30.0  # seconds in which a running server must answer, or it is replaced
START_TIMEOUT = 60.0  # seconds; a start takes half a second, longer with a new database or on a busy machine
ANSWER_TIMEOUT = 5.0  # seconds for one attempt to connect and to get an answer
RETRY_INTERVAL = 0.05  # seconds between attempts while the server starts


class UnknownNamespace(TemporalUnavailable):
    """The server is available but does not have the namespace."""


def spawn(
    binary: ServerBinary,
    home: Path,
    namespace: str,
    ports: tuple[int, int],
    lock: PartLock,
    *,
    codec_endpoint: str | None = None,
) -> Part:
    """Starts the server in the background.

    Args:
        binary: the program.
        home: the state folder, with the database and the log.
        namespace: created if the database does not have it.
        ports: of the server and of its UI.
        lock: its lock, which the process inherits.
        codec_endpoint: URL at which its UI gets payloads decrypted; `None` means that it does not.
    """
    log = log_path(home, "temporal")
    command = [str(binary.path), "server", "start-dev", *_flags(namespace, ports)]
    if codec_endpoint:
        command += ["--ui-codec-endpoint", codec_endpoint]
    pid = process.spawn(command, log, {**os.environ, **lock.variables}, folder=home, keep=[lock.descriptor])
    part = Part.started(
        "temporal", pid, log, command=command, folder=home, address=f"{LOOPBACK}:{ports[0]}", version=binary.server
    )
    lock.record(part.model_dump(mode="json"))
    return part


def _flags(namespace: str, ports: tuple[int, int]) -> list[str]:
    port, ui_port = ports
    flags = ["--ip", LOOPBACK, "--port", str(port), UI_PORT_FLAG, str(ui_port), "--db-filename", DATABASE]
    if namespace != "default":  # which the server always creates, and twice if the flag names it
        flags += ["--namespace", namespace]
    return [*flags, *(word for flag in TUNING for word in flag)]


async def connect(address: str, namespace: str) -> Client:
    """Connects and checks that the server has the namespace.

    Raises:
        UnknownNamespace: the server does not have the namespace.
        TemporalUnavailable: the server is unavailable.
    """
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT):
            client = await connect_temporal(address, namespace)
            await _retention(client)
    except TimeoutError as error:
        raise TemporalUnavailable(f"the Temporal server at {address} does not answer") from error
    except RPCError as error:
        if error.status == RPCStatusCode.PERMISSION_DENIED:
            return client  # it is available; this client may not describe namespaces
        if error.status == RPCStatusCode.NOT_FOUND:
            raise UnknownNamespace(f"the Temporal server at {address} has no namespace {namespace!r}") from error
        raise TemporalUnavailable(f"the Temporal server at {address} does not answer: {error.message}") from error
    return client


async def ready(part: Part, namespace: str, timeout: float, log_start: int = 0) -> Client:
    """Waits until a server of the stack answers.

    Raises:
        UnknownNamespace: the server was started for another namespace.
        TemporalUnavailable: it ended, or did not answer in time; the message contains the end of its log.
    """
    assert part.address is not None
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    while True:
        try:
            client = await connect(part.address, namespace)
        except UnknownNamespace:
            raise
        except TemporalUnavailable as error:
            if not part.is_alive:
                raise TemporalUnavailable(_failure(part, "ended", log_start)) from error
            if loop.time() >= deadline:
                raise TemporalUnavailable(
                    _failure(part, f"does not answer after {timeout:.0f} s", log_start)
                ) from error
            await asyncio.sleep(RETRY_INTERVAL)
        else:
            if sockets.is_served_by(part.pid, int(part.address.rpartition(":")[2])):
                return client
            if not part.is_alive or loop.time() >= deadline:
                raise TemporalUnavailable(_failure(part, "ended, and another server answers at its address", log_start))
            await asyncio.sleep(RETRY_INTERVAL)


def _failure(part: Part, fate: str, log_start: int) -> str:
    return f"the Temporal server {fate}; its log, {part.log}, ends:\n{process.tail(part.log, log_start)}"


def _indexed_type(name: str) -> IndexedValueType.ValueType:
    """Returns a type of search attributes by its name in Temporal's tools, as `KeywordList`."""
    words = re.sub("([A-Z])", r"_\1", name).upper()
    return IndexedValueType.Value(f"INDEXED_VALUE_TYPE{words}")


async def prepare_namespace(client: Client) -> None:
    """Sets the retention and adds the search attributes of the namespace."""
    await add_search_attributes(client)
    if await _retention(client) == DEFAULT_RETENTION:  # else it was configured
        config = NamespaceConfig()
        config.workflow_execution_retention_ttl.FromTimedelta(RETENTION)
        await client.workflow_service.update_namespace(
            UpdateNamespaceRequest(namespace=client.namespace, config=config)
        )


async def add_search_attributes(client: Client) -> None:
    """Adds the search attributes that the namespace lacks, as an older version may have created it.

    The server's flag for search attributes does not affect existing namespaces.
    """
    names = await missing(client)
    if names:
        kinds = {name: _indexed_type(SEARCH_ATTRIBUTES[name]) for name in names}
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(namespace=client.namespace, search_attributes=kinds)
        )


async def _retention(client: Client) -> timedelta:
    answer = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
    return answer.config.workflow_execution_retention_ttl.ToTimedelta()
