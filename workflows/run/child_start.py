"""The start of a child run."""

from __future__ import annotations

from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributePair, TypedSearchAttributes, WorkflowIDReusePolicy
from temporalio.workflow import ChildWorkflowCancellationType, ChildWorkflowHandle, ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from holdfast import names
    from holdfast._version import __version__
    from holdfast.approval import ALL
    from holdfast.bounds import indexed, shortened
    from holdfast.budgets import Budget
    from holdfast.definition import split_version
    from holdfast.protocol import RunRequest
    from holdfast.search_attributes import AGENT_NAME, AGENT_PARENT, AGENT_ROOT, AGENT_STATUS
    from holdfast.types import RunId, RunResult, RunStatus
    from holdfast.workflows.calls import SUMMARY_CHARS
    from holdfast.workflows.run.child_order import ChildOrder
    from holdfast.workflows.run.state import RunState
    from holdfast.workspace_states import WorkspacePoint

Handle = ChildWorkflowHandle[Any, Any]


def child_request(state: RunState, order: ChildOrder, part: Budget | None) -> RunRequest:
    """Returns the request of a child run.

    Args:
        state: the run that asks.
        order: what it asks.
        part: of its budget, that is set aside for the child.
    """
    request = state.request
    fields: dict[str, Any] = {
        "agent": order.agent,
        "input": order.text,
        **order.options,
        "workspace": state.plan.workspace,
        "parent": state.run_id,
        "root": request.root or state.run_id,
        "depth": request.depth + 1,
        "client_version": __version__,
    }
    inherited = {
        "own_workspace": state.plan.own_workspace,
        "kept": WorkspacePoint(heads=heads) if (heads := [each.bare for each in state.workspace.heads]) else None,
        "tags": request.tags,
        "context": request.context,
        "expires": request.expires,
        "approval_timeout": request.approval_timeout,
        "within": part,
    }
    fields |= {name: value for name, value in inherited.items() if value}
    if ALL in (request.approve or ()):
        fields["approve"] = [ALL]
    return RunRequest.model_validate(fields)


async def start_child(state: RunState, run: RunId, request: RunRequest) -> Handle:
    """Starts a child run under an id.

    Raises:
        WorkflowAlreadyStartedError: the id is taken.
        FailureError: the child could not be started.
    """
    name = split_version(request.agent)[0] if isinstance(request.agent, str) else request.agent.name
    shown = " ".join(request.shown_input.split())[:SUMMARY_CHARS]
    assert request.parent is not None
    assert request.root is not None
    return await workflow.start_child_workflow(
        names.AGENT_RUN,
        request,
        id=run,
        result_type=RunResult,
        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
        # Temporal would also apply another policy when the parent continues as new.
        parent_close_policy=ParentClosePolicy.ABANDON,
        cancellation_type=ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
        memo={"input": shown},
        search_attributes=TypedSearchAttributes(
            [
                SearchAttributePair(AGENT_NAME, indexed(name)),
                SearchAttributePair(AGENT_STATUS, RunStatus.QUEUED.value),
                SearchAttributePair(AGENT_PARENT, indexed(request.parent)),
                SearchAttributePair(AGENT_ROOT, indexed(request.root)),
            ]
        ),
        static_summary=shortened(name if state.plan.private else f"{name} · {shown}", 120),
    )
