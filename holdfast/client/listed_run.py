"""Runs as lists show them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Self

from pydantic import AwareDatetime
from temporalio.client import Client, WorkflowExecution

from holdfast.arguments import checked_text
from holdfast.errors import PayloadUnreadable
from holdfast.search_attributes import (
    AGENT_COST,
    AGENT_FINISHED_AT,
    AGENT_NAME,
    AGENT_PARENT,
    AGENT_STAGE,
    AGENT_STATUS,
    AGENT_TAGS,
    AGENT_TOKENS,
    AGENT_TURN,
    AGENT_WAITS_FOR,
)
from holdfast.temporal.connection import translated_errors
from holdfast.temporal.executions import newest_first, started_at
from holdfast.temporal.list_filter import check_filter
from holdfast.temporal.run_log import ENDED
from holdfast.temporal.visibility import explained_rejections
from holdfast.types import Data, RunId, RunStatus, Text


class ListedRun(Data):
    """A run in a list, as Temporal's index has it: that of an active run may be a second old."""

    run_id: RunId
    agent: str
    status: RunStatus
    turn: int = 0
    tokens: int = 0
    """Input and output together."""
    cost_usd: float = 0.0
    """As far as it is known; 0 if it is not."""
    input: Text = ""
    """The start of the input, at most 200 characters; empty if it cannot be read."""
    unreadable: str | None = None
    """Why the input cannot be read: it is encrypted with a key that is missing."""
    parent: RunId | None = None
    forked: RunId | None = None
    """The run that it is a fork of; `None` if it is not one, or its request was written by hand."""
    rerun_of: RunId | None = None
    tags: list[str] = []
    """`name=value` of each tag, at most 20."""
    waits_for: list[str] = []
    """Kinds of what it waits for, other than a worker; `RunHandle.status` has more."""
    stage: Text | None = None
    """The stage that a tool has entered last, if its name is one word; `RunHandle.status` has every name."""
    started_at: AwareDatetime
    finished_at: AwareDatetime | None = None

    @classmethod
    async def of(cls, execution: WorkflowExecution) -> Self:
        """Reads the index of an execution."""
        found = execution.typed_search_attributes
        shown = RunStatus(found.get(AGENT_STATUS) or RunStatus.QUEUED)
        memo, unreadable = await _memo(execution)
        ended = ENDED.get(execution.status) if execution.status else None
        return cls(
            run_id=execution.id,
            agent=found.get(AGENT_NAME) or "unknown",
            status=ended if ended and not shown.is_final else shown,
            turn=found.get(AGENT_TURN) or 0,
            tokens=found.get(AGENT_TOKENS) or 0,
            cost_usd=found.get(AGENT_COST) or 0.0,
            input=memo.get("input", ""),
            unreadable=unreadable,
            parent=found.get(AGENT_PARENT),
            forked=memo.get("forked"),
            rerun_of=memo.get("rerun_of"),
            tags=list(found.get(AGENT_TAGS) or []),
            waits_for=[] if ended else list(found.get(AGENT_WAITS_FOR) or []),
            stage=found.get(AGENT_STAGE),
            started_at=started_at(execution),
            finished_at=found.get(AGENT_FINISHED_AT) or execution.close_time,
        )


async def _memo(execution: WorkflowExecution) -> tuple[Mapping[str, Any], str | None]:
    """Returns the memo, or why it cannot be read."""
    try:
        return await execution.memo(), None
    except PayloadUnreadable as error:
        return {}, str(error)


async def listed_runs(
    client: Client, conditions: Sequence[str], *, where: str | None, limit: int
) -> AsyncIterator[ListedRun]:
    """Yields the runs that match all conditions, newest first; see `Holdfast.list`.

    Args:
        client: of the namespace.
        conditions: in Temporal's language of list filters.
        where: a further condition, which a person wrote.
        limit: maximum number of runs.

    Raises:
        UsageError: `where` is not accepted; the message says what to change.
        TemporalUnavailable: the server is unavailable.
    """
    if where is not None:
        await check_filter(client, checked_text("where", where))
        conditions = [*conditions, f"({where})"]
    with translated_errors():
        async with explained_rejections(client):
            found = await newest_first(client, " AND ".join(conditions), limit)
        for execution in found:
            yield await ListedRun.of(execution)
