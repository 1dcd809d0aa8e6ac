"""What a run answers when it is asked: a worker that has it not in memory replays its history for that."""

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
from holdfast.protocol import EntryPage, MessagePage
from holdfast.temporal.connection import pollers, translated_errors
from holdfast.types import Entry, Message, RunId, RunProgress

PATIENCE = tuple(timedelta(seconds=s) for s in (5, 10, 20))
"""How long each asking may take: a worker that died holding a query must not be waited for, but one that replays
a long run among other work needs longer than a moment."""
UNHURRIED = (timedelta(seconds=30),) * 2
"""For whoever looks at many runs, so that workers have a lot to replay at once."""
STILL_POLLING = timedelta(seconds=70)  # an idle worker's poll lasts a minute; its beginning is what the server tells
NOT_YET_PAUSE = 0.2  # seconds before a worker is asked again that said so
TOO_EARLY = 10  # times; from the second on, Temporal sends a query together with the workflow task
TIMED_OUT = (RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED)  # the server's word for it, and the client's


class _Page(Protocol):
    more: bool
    first: int
    previous: str | None


PageT = TypeVar("PageT", bound=_Page)


class ReplayedLog:
    """Asks executions of a run by queries.

    Args:
        client: connected to the namespace of the runs.
        patience: how long a worker may take for an answer, each time that it is asked; the next time comes only where
            a worker polls.
    """

    def __init__(self, client: Client, *, patience: Sequence[timedelta] = PATIENCE) -> None:
        self._client = client
        self._patience = patience

    async def progress(self, run_id: RunId) -> RunProgress:
        """Where a run stands, as it knows itself; raises what `query` raises."""
        progress: RunProgress = await self.query(run_id, names.QUERY_STATUS, result_type=RunProgress)
        return progress

    async def entries(self, run_id: RunId, newest: str, after: int) -> AsyncIterator[Entry]:
        """All entries with `seq > after`; raises what `query` raises.

        Args:
            run_id: the run.
            newest: Temporal's id of its newest execution.
            after: seq of the entry before the first one wanted.
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
        """All messages with `seq > after`; see `entries`."""

        async def ask(seq: int, execution: str) -> MessagePage:
            page: MessagePage = await self.query(
                run_id, names.QUERY_TRANSCRIPT, seq, result_type=MessagePage, execution=execution
            )
            return page

        async for page in _pages(newest, after, ask, lambda page: page.messages[-1].seq if page.messages else None):
            for message in page.messages:
                yield message

    async def query(self, run_id: RunId, name: str, *args: Any, result_type: Any, execution: str | None = None) -> Any:
        """Asks a run one of its queries.

        Raises:
            RunNotFound: no run has this id.
            WorkerUnavailable: no worker answers.
        """
        handle = self._client.get_workflow_handle(run_id, run_id=execution)
        waited = timedelta()
        with translated_errors(run_id):
            for patience in self._patience:
                try:
                    return await _ask(partial(handle.query, name, args=args, result_type=result_type), patience)
                except RPCError as error:
                    if error.status not in TIMED_OUT:
                        raise
                waited += patience
                if not await self._is_polled_for(run_id):
                    break
        raise WorkerUnavailable(f"no worker answered for run {run_id!r} within {waited.total_seconds():g} s")

    async def _is_polled_for(self, run_id: RunId) -> bool:
        """Whether a worker has asked for this run's kind of work of late."""
        queue = (await self._client.get_workflow_handle(run_id).describe()).task_queue
        since = datetime.now(UTC) - STILL_POLLING
        return any(poller.last_access_time.ToDatetime(UTC) > since for poller in await pollers(self._client, queue))


async def _ask(query: Callable[..., Awaitable[Any]], patience: timedelta) -> Any:
    """Asks until the worker has been given what it needs for an answer."""
    for _ in range(TOO_EARLY):
        try:
            return await query(rpc_timeout=patience)
        except WorkflowQueryFailedError as error:
            if NOT_YET not in str(error):
                raise
        await asyncio.sleep(NOT_YET_PAUSE)
    return await query(rpc_timeout=patience)


async def _pages(
    execution: str,
    after: int,
    ask: Callable[[int, str], Awaitable[PageT]],
    last: Callable[[PageT], int | None],
) -> AsyncIterator[PageT]:
    """Goes back to the execution that holds what follows `after`, then forward page by page."""
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
