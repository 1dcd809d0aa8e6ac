"""Calls of tools as the activities see them."""

from __future__ import annotations

from holdfast.invocations import ToolInvocation
from holdfast.types import ToolCall
from holdfast.workflows.run.state import RunState
from holdfast.workflows.run.turn import describe_call
from holdfast.workspace_states import WorkspacePoint


def invocation_of(state: RunState, call: ToolCall) -> ToolInvocation:
    """Returns the input of an activity that is about a call of this turn."""
    invocation = ToolInvocation(
        run_id=state.run_id,
        agent=state.spec.name,
        turn=state.turns,
        call=call,
        workspace=state.plan.workspace,
    )
    if state.plan.own_workspace is not None:
        invocation.own_workspace = state.plan.own_workspace
        if state.workspace.heads:
            invocation.kept = WorkspacePoint(heads=[head.bare for head in state.workspace.heads])
            if state.workspace.restored:
                invocation.kept.restored = state.workspace.restored
    if state.spec.memory_path is not None:
        invocation.memory_path = state.spec.memory_path
    if state.request.context is not None:
        invocation.context = state.request.context
    if state.spec.tool_wrappers:
        invocation.wrappers = state.spec.tool_wrappers
    return invocation


def shown_call(state: RunState, call: ToolCall) -> str:
    """Returns a call as the summary of an activity may show it: a private run hides the arguments."""
    return call.name if state.plan.private else describe_call(call)
