"""The conditions by which runs are listed, in Temporal's language of list filters."""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.arguments import checked_mapping, checked_text, refused
from holdfast.bounds import indexed
from holdfast.call_progress import MAX_INDEXED_CHARS, indexed_stage
from holdfast.errors import UsageError
from holdfast.tags import indexed_tags
from holdfast.temporal.executions import quoted
from holdfast.types import RunId, RunStatus

EACH_RUN = "WorkflowType = 'AgentRun' AND ExecutionStatus != 'ContinuedAsNew'"
"""List filter of all runs, each once."""
EXECUTION_STATUS = {
    "Completed": RunStatus.COMPLETED,
    "Failed": RunStatus.FAILED,
    "Canceled": RunStatus.CANCELLED,
    "Terminated": RunStatus.TERMINATED,
    "TimedOut": RunStatus.TIMED_OUT,
}


def run_conditions(
    *,
    status: RunStatus | None,
    agent: str | None,
    root: RunId | None,
    stage: str | None,
    tags: Mapping[str, str],
) -> list[str]:
    """Returns the conditions that all must hold; see `Holdfast.list`.

    Raises:
        UsageError: one is not accepted, or no run can be found by this stage.
    """
    for name, given in {"agent": agent, "root": root, "stage": stage}.items():
        if given is not None:
            checked_text(name, given)
    conditions = [EACH_RUN, *(f"AgentTags = {quoted(tag)}" for tag in indexed_tags(checked_mapping("tags", tags)))]
    if agent:
        conditions.append(f"AgentName = {quoted(agent)}")
    if root:
        conditions.append(f"(AgentRoot = {quoted(indexed(root))} OR WorkflowId = {quoted(root)})")
    if stage is not None:
        conditions.append(f"AgentStage = {quoted(_checked_stage(stage))}")
    if status is not None:
        conditions.append(_status_condition(_checked_status(status)))
    return conditions


def _checked_stage(stage: str) -> str:
    if indexed_stage(stage) is None:
        raise UsageError(
            f"runs cannot be found by the stage {stage!r:.80}: only names of at most {MAX_INDEXED_CHARS} letters, "
            "digits, '_', '-' and '.' are indexed, as building_ui"
        )
    return stage


def _checked_status(status: RunStatus) -> RunStatus:
    try:
        return RunStatus(status)
    except ValueError:
        raise refused("status", status, f"one of {', '.join(RunStatus)}") from None


def _status_condition(status: RunStatus) -> str:
    """Returns the visibility query of a status; for a run that was ended from outside, the server's status counts."""
    shown = f"AgentStatus = '{status.value}'"
    if not status.is_final:
        return f"{shown} AND ExecutionStatus = 'Running'"
    [execution] = [name for name, ended in EXECUTION_STATUS.items() if ended == status]
    open_words = ", ".join(f"'{word.value}'" for word in RunStatus if not word.is_final)
    silent = f"ExecutionStatus = '{execution}' AND (AgentStatus IS NULL OR AgentStatus IN ({open_words}))"
    return f"({shown} OR ({silent}))"
