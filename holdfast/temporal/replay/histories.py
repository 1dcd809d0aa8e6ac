"""Histories to replay: of a run, of all open runs of a task queue, and of downloaded files."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.json_format import ParseError
from temporalio.client import Client, WorkflowHistory
from temporalio.service import RPCError, RPCStatusCode

from holdfast.errors import UsageError
from holdfast.temporal.connection import translated_errors
from holdfast.temporal.executions import quoted
from holdfast.types import RunId

GZIP = b"\x1f\x8b"  # the first bytes of a compressed file
DAMAGED = (ValueError, TypeError, EOFError, IndexError, AssertionError, ParseError, gzip.BadGzipFile, zlib.error)
"""What reading a file that does not have a history can raise."""
SUFFIXES = (".json", ".json.gz")  # of downloaded histories


@dataclass(frozen=True)
class ExecutionRef:
    """One execution whose history can be read."""

    run_id: RunId
    execution: str
    """Temporal's id of it."""


class HistoryReader:
    """Reads histories from the server.

    Args:
        client: connected to the namespace of the runs.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    async def read(self, ref: ExecutionRef) -> WorkflowHistory | None:
        """Returns the history of an execution; `None` if Temporal has deleted it.

        Raises:
            HoldfastError: the server is unavailable or denies the request.
        """
        with translated_errors(ref.run_id):
            try:
                return await self._client.get_workflow_handle(ref.run_id, run_id=ref.execution).fetch_history()
            except RPCError as error:
                if error.status == RPCStatusCode.NOT_FOUND:
                    return None
                raise

    async def executions_of(self, run_id: RunId) -> AsyncIterator[ExecutionRef]:
        """Yields all executions of a run, newest first: it may have continued as new.

        The oldest ones may have been deleted.

        Raises:
            RunNotFound: no run has this id.
        """
        with translated_errors(run_id):
            newest = (await self._client.get_workflow_handle(run_id).describe()).run_id
        execution = newest
        while execution:
            yield ExecutionRef(run_id, execution)
            execution = await self._previous(run_id, execution)

    async def _previous(self, run_id: RunId, execution: str) -> str:
        """Returns the execution that an execution continues; an empty text if there is none, or it is deleted."""
        handle = self._client.get_workflow_handle(run_id, run_id=execution)
        with translated_errors(run_id):
            try:
                first = await anext(handle.fetch_history_events(page_size=1))
            except RPCError as error:
                if error.status == RPCStatusCode.NOT_FOUND:
                    return ""
                raise
        return first.workflow_execution_started_event_attributes.continued_execution_run_id

    async def open_executions(self, task_queue: str) -> AsyncIterator[ExecutionRef]:
        """Yields the open executions of a task queue; of each run the newest, which alone will be continued."""
        query = f"TaskQueue = {quoted(task_queue)} AND ExecutionStatus = 'Running'"
        seen: set[str] = set()
        with translated_errors():
            async for found in self._client.list_workflows(query):
                if found.run_id not in seen:  # a page may shift while it is read
                    seen.add(found.run_id)
                    yield ExecutionRef(found.id, found.run_id)


def history_in(path: Path) -> WorkflowHistory:
    """Reads a history that was downloaded from Temporal's UI or command line, compressed or not.

    Raises:
        UsageError: the file cannot be read, or does not have a history.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{str(path)!r} cannot be read: {error.strerror}") from None
    try:
        content = gzip.decompress(content) if content.startswith(GZIP) else content
        document = json.loads(content)
        history = WorkflowHistory.from_json("unknown", document if isinstance(document, dict) else {"events": document})
        begun = history.events[0].workflow_execution_started_event_attributes
        assert history.events[0].HasField("workflow_execution_started_event_attributes"), "its first event is another"
    except DAMAGED as error:
        raise UsageError(
            f"{str(path)!r} does not have a history that can be replayed ({_first_line(error)}); download it with "
            "`temporal workflow show --workflow-id ID --output json`, or from Temporal's UI without decoding payloads"
        ) from None
    return WorkflowHistory(begun.workflow_id or "unknown", history.events)


def _first_line(error: Exception) -> Any:
    return (str(error) or type(error).__name__).splitlines()[0]
