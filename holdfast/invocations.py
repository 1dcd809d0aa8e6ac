"""Calls of tools as their activities receive them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from holdfast.bounds import Text
from holdfast.data import Tolerant
from holdfast.elicitation import Elicitation
from holdfast.messages import ToolCall
from holdfast.run_context import RunContext
from holdfast.types import RunId
from holdfast.workspace_states import WorkspacePoint


class Resolution(Tolerant):
    """What a person said about a call of which it was unknown whether it took effect."""

    happened: bool
    """Whether it took effect; if not, it is made."""
    result: Text = ""
    """What it returned, if it took effect."""


class CallClaim(Tolerant):
    """What a call needs that must not take effect twice: its place in the run, by which the ledger knows it."""

    chain: str
    """The run's chain, as in `CarriedState.chain`."""
    message: int
    """`seq` of the transcript message that asked for the call."""
    index: int
    """Place of the call in that message, from 0."""
    resolution: Resolution | None = None
    again: Annotated[bool, Field(exclude_if=lambda again: not again)] = False
    """Whether another activity may have attempted the call before."""


class ToolInvocation(Tolerant):
    """The input of an activity that calls a tool."""

    run_id: RunId
    agent: str
    turn: int
    call: ToolCall
    workspace: str | None = None
    """Its path on the machine of the run's first worker."""
    own_workspace: Annotated[str | None, Field(exclude_if=lambda name: name is None)] = None
    """As in `Plan`."""
    kept: Annotated[WorkspacePoint | None, Field(exclude_if=lambda point: point is None)] = None
    """The state from which the call begins; `None` means that nothing was recorded yet."""
    memory_path: Annotated[str | None, Field(exclude_if=lambda path: path is None)] = None
    """As in `AgentSpec`."""
    claim: CallClaim | None = None
    """The claim that the call needs; `None` means that it is made without one."""
    lost: bool = False
    """Whether an earlier attempt without a claim was lost, so that the tool's `verify` must be asked first."""
    context: Annotated[RunContext | None, Field(exclude_if=lambda context: context is None)] = None
    """What the run was started with for its tools."""
    wrappers: Annotated[list[Text], Field(exclude_if=lambda names: not names)] = []
    """Names of the functions of the agent around the call, as in `AgentSpec.tool_wrappers`."""
    alone: Annotated[bool, Field(exclude_if=lambda alone: not alone)] = False
    """Whether the call is made without a run."""
    elicitation: Annotated[Elicitation | None, Field(exclude_if=lambda asked: asked is None)] = None
    """What people have answered to the MCP server that performs the call; `None` means that the call begins."""
