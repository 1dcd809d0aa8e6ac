"""Executions as Temporal lists them, one for each workflow id."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

from temporalio.client import Client, WorkflowExecution

PAGE = 50  # ids in one query


async def newest_executions(client: Client, query: str, limit: int) -> AsyncIterator[WorkflowExecution]:
    """Yields the executions that match a query, without those that a newer execution of the same id has replaced.

    A workflow id has several executions after a reset, and if it was used again.

    Args:
        client: connected to the namespace.
        query: a list filter.
        limit: maximum number of executions.

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
        if len(page) == min(PAGE, limit):
            for each in await _newest(client, page):
                yield each
                limit -= 1
            page = []
            if limit <= 0:
                return
    for each in (await _newest(client, page))[:limit]:
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
