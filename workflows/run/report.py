"""Reports of a run on itself: its result, its summary in lists and in the mirror, and its progress."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from holdfast.budgets import Amount
from holdfast.progress import RunProgress
from holdfast.types import ChildProgress, RunResult, RunSummary
from holdfast.workflows.run.run_budget import RunBudget
from holdfast.workflows.run.state import SUMMARY_CHARS, RunState

SHOWN = set(ChildProgress.model_fields)
"""What is shown of a child."""


def result_of(state: RunState) -> RunResult:
    """Returns the result of the run, or its current state in that form."""
    return RunResult(
        run_id=state.run_id,
        agent=state.plan.spec.name,
        **({"active_agent": state.active_agent} if state.active_agent else {}),
        status=state.status,
        output=state.answer,
        **({"typed": True} if state.checks.typed else {}),
        finish_reason=state.finish_reason,
        error=state.error,
        usage=state.usage,
        tree_usage=state.tree.usage(state.usage),
        tree_tool_calls=state.tree.tool_calls,
        children=_children(state),
        turns=state.turns,
        tool_calls=state.tool_calls,
        model=state.model,
        files=state.files.names,
        workspace=state.plan.workspace,
        **({"snapshots": state.workspace.heads} if state.request.parent and state.workspace.heads else {}),
        started_at=state.started_at,
        finished_at=state.finished_at,
    )


def summary_of(state: RunState) -> RunSummary:
    """Returns the summary of the run, as lists and the mirror show it."""
    return RunSummary(**_summary_fields(state))


def progress_of(state: RunState, mirrored: int) -> RunProgress:
    """Returns the result of the `status` query.

    Args:
        state: the run.
        mirrored: seq of the newest entry that the mirror has acknowledged; -1 means none.
    """
    return RunProgress(
        **_summary_fields(state) | {"status": state.shown_status},
        doing=state.activity,
        **({"next_model": state.next_model} if state.next_model else {}),
        progress=[state.reported] if state.reported else [],
        waits_for=list(state.open_waits.values()),
        children=_children(state),
        max_turns=state.max_turns,
        **_budget_fields(state),
        deadline=state.clock.deadline,
        output=state.output,
        files=state.files.names,
        workspace=state.plan.workspace,
        head=state.head.seq,
        digest=state.head.digest,
        mirrored=mirrored,
    )


def _budget_fields(state: RunState) -> dict[str, Any]:
    if state.plan.budget is None:
        return {}
    account = RunBudget(state).account
    held = sum(account.held.values(), Amount())
    return {"budget": account.budget, "spent": account.used, "held": held}


def _children(state: RunState) -> list[ChildProgress]:
    return [ChildProgress(**child.model_dump(include=SHOWN)) for child in state.tree.children]


def _summary_fields(state: RunState) -> dict[str, Any]:
    fields = {
        "run_id": state.run_id,
        "agent": state.plan.spec.name,
        "active_agent": state.active_agent,
        "status": state.status,
        "turn": state.turns,
        "usage": state.usage,
        "tree_usage": state.tree.usage(state.usage),
        "tool_calls": state.tool_calls,
        "input": state.request.shown_input[:SUMMARY_CHARS],
        "parent": state.request.parent,
        "forked": state.forked,
        "rerun_of": state.request.rerun_of,
        "model": state.model,
        "stage": state.stage and state.stage.stage,
        "stage_progress": state.stage and state.stage.percent,
        "error": state.error,
        "started_at": state.started_at,
        "finished_at": state.finished_at,
    }
    return {name: value for name, value in fields.items() if value is not None}


def why_out_of_time(state: RunState, now: datetime) -> str:
    """Returns why the time of a run has ended."""
    expires = state.request.expires
    if expires is not None and now >= expires:
        return f"the run was to end at {expires.isoformat()}"
    waited = f"; it was waiting for {', '.join(state.unserved)}" if state.unserved else ""
    return f"the run exceeded its time limit of {state.plan.timeout:g} s{waited}"
