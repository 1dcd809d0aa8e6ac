"""Order in which a workflow applies what a workflow task brings: the same for live workers and for replays."""

from __future__ import annotations

from collections.abc import Callable

from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion

START, UPDATE = "initialize_workflow", "do_update"
EARLIER = {
    "resolve_activity",
    "resolve_child_workflow_execution",
    "resolve_child_workflow_execution_start",
    "resolve_signal_external_workflow",
    "resolve_request_cancel_external_workflow",
    "signal_workflow",
    "fire_timer",
    "cancel_workflow",
}
"""Jobs with events that are in history before the update that came with them."""
ENDS = {
    "complete_workflow_execution",
    "fail_workflow_execution",
    "continue_as_new_workflow_execution",
    "cancel_workflow_execution",
}

Activate = Callable[[WorkflowActivation], WorkflowActivationCompletion]


def activate_in_order(activate: Activate, act: WorkflowActivation) -> WorkflowActivationCompletion:
    """Applies results, signals and timers before updates, and each of the two as if it came alone.

    A workflow task without commands and the update that follows it at once are two activations for a worker that
    has the run in memory, and a single one, with the update first, for a worker that replays it. The activation that
    starts the workflow is applied as it is: nothing can be applied before the start.

    Args:
        activate: applies an activation to a workflow.
        act: the activation.
    """
    kinds = {job.WhichOneof("variant") for job in act.jobs}
    if START in kinds or UPDATE not in kinds or not kinds & EARLIER:
        return activate(act)
    first = activate(_part(act, lambda kind: kind in EARLIER))
    if first.HasField("failed"):
        return first
    second = activate(_part(act, lambda kind: kind not in EARLIER))
    if second.HasField("successful"):
        later = list(second.successful.commands)
        ends = [command for command in first.successful.commands if command.WhichOneof("variant") in ENDS]
        before = [command for command in first.successful.commands if command.WhichOneof("variant") not in ENDS]
        del second.successful.commands[:]
        second.successful.commands.extend([*before, *later, *ends])
    return second


def _part(act: WorkflowActivation, belongs: Callable[[str | None], bool]) -> WorkflowActivation:
    """Returns an activation with some of its jobs."""
    part = WorkflowActivation()
    part.CopyFrom(act)
    del part.jobs[:]
    part.jobs.extend(job for job in act.jobs if belongs(job.WhichOneof("variant")))
    return part
