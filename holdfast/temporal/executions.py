"""Executions as Temporal lists them, one for each workflow id."""

from __future__ import annotations

import heapq
from collections.abc import AsyncIterator, Iterable
from datetime import datetime

from temporalio.client import Client, WorkflowExecution

from holdfast.search_attributes import AGENT_STARTED_AT

PAGE = 50  # ids in one query


async def newest_first(client: Client, query: str, limit: int) -> list[WorkflowExecution]:
    """Returns the executions that match a query, of each workflow id the newest, in the order of their runs' starts.

    Temporal lists open executions first, and closed ones by their end. A run that was started after all that have been
    read has not ended before the last of them, which tells when to stop.

    Args:
        client: connected to the namespace.
        query: a list filter.
        limit: maximum number of executions.

    Raises:
        RPCError: the server is unavailable or denies the request.
    """
    found: dict[str, WorkflowExecution] = {}
    for state in ("ExecutionStatus = 'Running'", "ExecutionStatus != 'Running'"):
        async for execution in without_replaced(client, f"{query} AND {state}"):
            if len(found) >= limit:
                oldest = heapq.nlargest(limit, map(started_at, found.values()))[-1]
                if oldest >= (execution.close_time or execution.start_time):
                    break
            found[execution.id] = execution
    return heapq.nlargest(limit, found.values(), key=started_at)


def started_at(execution: WorkflowExecution) -> datetime:
    """Returns when the run of an execution began; it may have continued as new since."""
    return execution.typed_search_attributes.get(AGENT_STARTED_AT) or execution.start_time


async def without_replaced(client: Client, query: str) -> AsyncIterator[WorkflowExecution]:
    """Yields the executions that match a query, without those that a newer execution of the same id has replaced.

    A workflow id has several executions after a reset, and if it was used again.

    Raises:
        RPCError: the server is unavailable or denies the request.
    """
    seen: set[str] = set()
    page: list[WorkflowExecution] = []
    async for execution in client.list_workflows(query):
        if execution.run_id in seen:  # a page may shift while it is read
            continue
        seen.add(execution.run_id)
        page.append(execution)
        if len(page) == PAGE:
            for each in await _newest(client, page):
                yield each
            page = []
    for each in await _newest(client, page):
        yield each


async def _newest(client: Client, page: list[WorkflowExecution]) -> list[WorkflowExecution]:
    """Returns those of a page that no execution of the same id outside of the query has replaced."""
    if not page:
        return []
    newest: dict[str, WorkflowExecution] = {}
    async for found in client.list_workflows(f"WorkflowId IN ({_listed(each.id for each in page)})"):
        known = newest.setdefault(found.id, found)
        if found.start_time > known.start_time:
            newest[found.id] = found
    return [each for each in page if each.id not in newest or newest[each.id].run_id == each.run_id]


def _listed(ids: Iterable[str]) -> str:
    return ", ".join(quoted(each) for each in ids)


def quoted(text: str) -> str:
    """Returns a text as a literal of Temporal's list filters."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
