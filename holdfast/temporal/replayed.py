"""The log of a run, read by queries; a worker that does not have the run in memory replays its history."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Protocol, TypeVar

from temporalio.client import Client, WorkflowQueryFailedError
from temporalio.service import RPCError, RPCStatusCode

from holdfast import names
from holdfast.errors import NOT_YET, WorkerUnavailable
from holdfast.progress import RunProgress
from holdfast.protocol import EntryPage, MessagePage
from holdfast.temporal.connection import pollers, translated_errors
from holdfast.types import Entry, Message, RunId

QUERY_TIMEOUTS = tuple(timedelta(seconds=s) for s in (5, 10, 20))
"""Timeout of each attempt of a query. A query is lost if its worker dies, so the first timeout is short; a busy worker
that replays a long run needs the longer ones."""
BULK_QUERY_TIMEOUTS = (timedelta(seconds=30),) * 2
"""For callers that query many runs, so that workers replay many at once."""
POLL_RECENCY = timedelta(seconds=70)  # an idle worker's poll lasts a minute, and the server reports when it started
NOT_YET_DELAY = 0.2  # seconds before a query is repeated that a worker could not answer yet
NOT_YET_ATTEMPTS = 10  # from the second on, Temporal sends the query together with the workflow task
TIMED_OUT = (RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED)  # as the server and the client report it


class _Page(Protocol):
    more: bool
    first: int
    previous: str | None


PageT = TypeVar("PageT", bound=_Page)


class ReplayedLog:
    """Reads executions of a run by queries.

    Args:
        client: connected to the namespace of the runs.
        query_timeouts: timeout of each attempt of a query; a query is repeated only while a worker polls. Without
            attempts, every query fails at once.
        gives_up: whether every query fails at once after one that no worker has answered.
    """

    def __init__(
        self, client: Client, *, query_timeouts: Sequence[timedelta] = QUERY_TIMEOUTS, gives_up: bool = False
    ) -> None:
        self._client = client
        self._query_timeouts = query_timeouts
        self._gives_up = gives_up

    async def progress(self, run_id: RunId) -> RunProgress:
        """Returns the progress that the run itself reports; raises the errors of `query`."""
        progress: RunProgress = await self.query(run_id, names.QUERY_STATUS, result_type=RunProgress)
        return progress

    async def entries(self, run_id: RunId, newest: str, after: int) -> AsyncIterator[Entry]:
        """Yields all entries with `seq > after`; raises the errors of `query`.

        Args:
            run_id: the run.
            newest: Temporal's id of its newest execution.
            after: seq of the entry before the first requested one.
        """

        async def ask(seq: int, execution: str) -> EntryPage:
            page: EntryPage = await self.query(
                run_id, names.QUERY_ENTRIES, seq, result_type=EntryPage, execution=execution
            )
            return page

        async for page in _pages(newest, after, ask, lambda page: page.entries[-1].seq if page.entries else None):
            for entry in page.entries:
                yield entry

    async def messages(self, run_id: RunId, newest: str, after: int) -> AsyncIterator[Message]:
        """Yields all messages with `seq > after`; see `entries`."""

        async def ask(seq: int, execution: str) -> MessagePage:
            page: MessagePage = await self.query(
                run_id, names.QUERY_TRANSCRIPT, seq, result_type=MessagePage, execution=execution
            )
            return page

        async for page in _pages(newest, after, ask, lambda page: page.messages[-1].seq if page.messages else None):
            for message in page.messages:
                yield message

    async def query(self, run_id: RunId, name: str, *args: Any, result_type: Any, execution: str | None = None) -> Any:
        """Queries a run and returns the result.

        Raises:
            RunNotFound: no run has this id.
            QueryRefused: the run cannot answer.
            WorkerUnavailable: no worker answers in time, or there is no time.
        """
        if not self._query_timeouts:
            raise WorkerUnavailable("no worker answers")
        handle = self._client.get_workflow_handle(run_id, run_id=execution)
        waited = timedelta()
        with translated_errors(run_id):
            for timeout in self._query_timeouts:
                try:
                    return await _query(partial(handle.query, name, args=args, result_type=result_type), timeout)
                except RPCError as error:
                    if error.status not in TIMED_OUT:
                        raise
                waited += timeout
                if not await self._has_worker(run_id):
                    break
        if self._gives_up:
            self._query_timeouts = ()
        raise WorkerUnavailable(
            f"no worker answered a query of run {run_id!r} within {waited.total_seconds():g} s: is one running?"
        )

    async def _has_worker(self, run_id: RunId) -> bool:
        """Whether a worker has polled the run's task queue recently."""
        queue = (await self._client.get_workflow_handle(run_id).describe()).task_queue
        since = datetime.now(UTC) - POLL_RECENCY
        return any(poller.last_access_time.ToDatetime(UTC) > since for poller in await pollers(self._client, queue))


async def _query(query: Callable[..., Awaitable[Any]], timeout: timedelta) -> Any:
    """Repeats a query until the worker has received the workflow task that it needs to answer."""
    for _ in range(NOT_YET_ATTEMPTS):
        try:
            return await query(rpc_timeout=timeout)
        except WorkflowQueryFailedError as error:
            if NOT_YET not in str(error):
                raise
        await asyncio.sleep(NOT_YET_DELAY)
    return await query(rpc_timeout=timeout)


async def _pages(
    execution: str,
    after: int,
    ask: Callable[[int, str], Awaitable[PageT]],
    last: Callable[[PageT], int | None],
) -> AsyncIterator[PageT]:
    """Yields pages from the execution that has the item after `after`, up to the newest execution."""
    later: list[str] = []
    page = await ask(after, execution)
    while page.previous and page.first > after + 1:
        later.append(execution)
        execution = page.previous
        page = await ask(after, execution)
    while True:
        yield page
        newest = last(page)
        after = after if newest is None else newest
        if not page.more:
            if not later:
                return
            execution = later.pop()
        page = await ask(after, execution)
