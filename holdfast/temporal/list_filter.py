"""List filters that people write, such as `AgentName = "x" AND AgentStatus = "failed"`, and what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Callable

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from holdfast.errors import UsageError
from holdfast.search_attributes import SEARCH_ATTRIBUTES
from holdfast.similar import most_similar
from holdfast.temporal.connection import translated_errors
from holdfast.temporal.visibility import lacking

TEMPORALS_OWN = (
    "CloseTime",
    "ExecutionDuration",
    "ExecutionStatus",
    "HistoryLength",
    "StartTime",
    "TaskQueue",
    "WorkflowId",
    "WorkflowType",
)
"""Search attributes that every namespace has, of those that are of use here."""

EXAMPLE = 'AgentName = "researcher" AND AgentStatus = "failed"'

EXPLAINED: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (
        re.compile(r"did you forget to quote '(.+)'\?"),
        lambda found: f'put the value {found[1]} in quotes: "{found[1]}"',
    ),
    (
        re.compile(r"syntax error at position \d+(?: near '(.*)')?"),
        lambda found: f"Temporal cannot read it{f' near {found[1]!r}' if found[1] else ''}; an example: {EXAMPLE}",
    ),
    (
        re.compile(r"unable to parse datetime '(.*)'"),
        lambda found: f"{found[1]!r} is not a time; write one as 2026-11-26T08:30:00Z",
    ),
    (
        re.compile(r"invalid operator '(.+?)'"),
        lambda found: (
            f"there is no operator {found[1]!r}; there are = != > >= < <= IN, BETWEEN, STARTS_WITH and IS NULL"
        ),
    ),
    (
        re.compile(r"'(order by|limit|group by)' clause"),
        lambda found: f"it may have conditions only, not {found[1].upper()!r}",
    ),
)
"""What the server says about filters, and the same in words that say what to do."""

UNKNOWN = re.compile(r"column name '(.*)' is not a valid search attribute")
PREFIX = re.compile(r"^(invalid query: |invalid expression: |operation is not supported: )+")


async def check_filter(client: Client, where: str) -> None:
    """Checks that the server accepts a list filter.

    Raises:
        UsageError: it does not; the message says what to change.
        TemporalUnavailable: the server is unavailable.
    """
    if not where.strip():
        raise UsageError(f"--where is empty; an example: --where '{EXAMPLE}'")
    with translated_errors():
        try:
            await client.count_workflows(where)
        except RPCError as error:
            if error.status != RPCStatusCode.INVALID_ARGUMENT:
                raise
            raise UsageError(f"--where {where!r} is not accepted: {explain(error.message, client)}") from None


def explain(said: str, client: Client) -> str:
    """Returns what is wrong with a filter in plain words.

    Args:
        said: the message of the server.
        client: connected to the namespace in which the filter was used.
    """
    if unknown := UNKNOWN.search(said):
        return lacking([unknown[1]], client) if unknown[1] in SEARCH_ATTRIBUTES else _unknown(unknown[1])
    for pattern, words in EXPLAINED:
        if found := pattern.search(said):
            return words(found)
    return PREFIX.sub("", said)


def _unknown(name: str) -> str:
    known = [*SEARCH_ATTRIBUTES, *TEMPORALS_OWN]
    similar = most_similar(name, known)
    hint = f"did you mean {similar}? " if similar else ""
    return f"there is no search attribute {name!r}; {hint}runs have {', '.join(known)}"
