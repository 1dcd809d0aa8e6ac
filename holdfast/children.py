"""Child runs: what a run knows of the runs that it has started, and what they tell it."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field

from holdfast.attachments import AttachmentList
from holdfast.bounds import Count, Name, Text
from holdfast.data import Tolerant
from holdfast.progress import Wait
from holdfast.types import AgentSpec, ChildProgress, RunError, RunId, RunResult, RunStatus, Usage
from holdfast.workspace_states import WorkspaceSnapshot

MAX_DEPTH = 5
"""Runs of a tree below one another, not counting the one at the top."""


class ChildReport(Tolerant):
    """What a child run tells its parent when its status changes, and at its end."""

    run: RunId
    """The child."""
    status: RunStatus
    usage: Usage = Usage()
    """What it and its own children have used."""
    tool_calls: Count = 0
    """Tool calls that it and its own children have made."""
    waits: list[Wait] = []
    """What it waits for, if its status is `waiting`."""
    output: Text = ""
    """Its answer, or what there is of it; empty before its end."""
    snapshots: Annotated[list[WorkspaceSnapshot], Field(exclude_if=lambda snapshots: not snapshots)] = []
    """As in `RunResult`."""
    error: RunError | None = None
    """Why it did not complete."""

    @classmethod
    def of(cls, result: RunResult) -> Self:
        """Returns the report of a child that has ended."""
        return cls(
            run=result.run_id,
            status=result.status,
            usage=result.tree_usage or result.usage,
            tool_calls=result.tool_calls + result.tree_tool_calls,
            output=result.output,
            error=result.error,
            **({"snapshots": result.snapshots} if result.snapshots else {}),
        )


class ReportRequest(Tolerant):
    """A parent's request to be told the end of a child by a signal."""

    again: bool = False
    """Whether it wants to be told the current status, too."""


class EarlierChild(Tolerant):
    """A child that an execution of its parent before a reset has started."""

    run: RunId
    parent: RunId
    agent: str
    input: Text
    attachments: AttachmentList = []


class FoundChild(Tolerant):
    """What is known of an `EarlierChild`."""

    report: ChildReport | None = None
    """`None` means that it cannot answer this call: it was asked something else, or was stopped."""


class AgentCall(Tolerant):
    """A call of an agent by a tool, which the run of the tool makes for it."""

    call: str
    """Id of the tool call."""
    turn: int
    key: str
    """Identifies the call within the tool call; the same in each attempt of that."""
    agent: Annotated[Name | AgentSpec, Field(union_mode="left_to_right")]
    input: Text
    options: dict[str, Any] = {}
    """Further fields of the request of the child run."""


class CalledAgent(Tolerant):
    """The child run that performs an `AgentCall`."""

    run: RunId | None = None
    error: Text | None = None
    """Why there is none, in words for the tool."""


class ChildRun(ChildProgress):
    """A child run, as its parent carries it over continue-as-new."""

    call: str
    """Id of the tool call that asked it."""
    turn: int
    """The turn of the call."""
    output: Text = ""
    """Its answer, until the call has its result."""
    snapshots: Annotated[list[WorkspaceSnapshot], Field(exclude_if=lambda snapshots: not snapshots)] = []
    """As in `RunResult`, likewise."""
    error: RunError | None = None
    """Why it did not complete."""
    reports: bool = False
    """Whether it reports its end by a signal; otherwise the parent learns it from Temporal."""
    paused: bool = False
    """Whether it was told to pause."""
    taken: bool = False
    """Whether the call has its result."""


class CarriedTree(Tolerant):
    """What a run carries of the tree that it is part of."""

    children: list[ChildRun] = []
    """Oldest first; of those that have ended only some."""
    ended: Usage = Usage()
    """What the children have used that have ended and are not in `children`."""
    tool_calls: Count = 0
    """Tool calls of all children that have ended, and of those below them."""
    started: int = 0
    """Number of children so far."""
    reports: bool = False
    """Whether the parent wants to be told of the end by a signal."""
    told: str | None = None
    """The status that the parent knows; `None` means none."""
