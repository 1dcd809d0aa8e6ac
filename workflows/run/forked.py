"""The state with which a fork begins."""

from __future__ import annotations

from datetime import datetime
from itertools import takewhile

from holdfast.forking import NOT_RUN, Prefix
from holdfast.protocol import Plan, RunRequest
from holdfast.types import ToolResult
from holdfast.workflows.run.clock import RunClock
from holdfast.workflows.run.entry_data import user_message
from holdfast.workflows.run.log import Log
from holdfast.workflows.run.state import RunState
from holdfast.workflows.run.waiting import withdrawn


def fork_of(run_id: str, request: RunRequest, plan: Plan, prefix: Prefix, *, now: datetime, chain: str) -> RunState:
    """Returns the state of a run that begins with the log of another one, under the same numbers.

    What the run uses counts from 0.

    Args:
        run_id: see `RunState.begin`, as for the other arguments.
        request: its `fork` says what to change.
        plan: its system prompt replaces that of the other run.
        prefix: the log.
        now: workflow time.
        chain: see CarriedState.chain.

    Raises:
        UsageError: the log has no such tool results.
    """
    fork = request.fork
    assert fork is not None, "only a fork copies a log"
    clock = RunClock(plan.timeout, spent=0, now=now)
    state = RunState(run_id, request, plan, chain=chain, log=Log(), started_at=now, clock=clock)
    state.forked, state.turns, state.exchange = prefix.origin, prefix.origin.turn, prefix.origin.turn
    if plan.own_workspace is not None:
        state.workspace = prefix.workspace
    state.record_start(now, forked=prefix.origin.model_dump(mode="json"))
    for entry, data in prefix.copies(plan.spec.system_prompt, fork.tool_results):
        state.log.append(entry.kind, at=entry.at, turn=entry.turn, data=data)
    if (active := prefix.active) is not None:
        state.act_as(active)
    for wait in prefix.open_waits():
        state.log.append("wait_ended", at=now, turn=state.turns, data=withdrawn(wait))
    if prefix.is_restored:
        state.context.restored(prefix.answer)
    for call in prefix.open_calls():
        state.add_tool_result(now, call, ToolResult(error=NOT_RUN), turn=prefix.turn_of_calls)
    _guard_again(state, prefix)
    if fork.has_message:
        state.add_message(now, user_message(state.log.next_message, fork.message or "", fork.attachments))
    state.answered = request.session and not fork.has_message and prefix.answer is not None
    return state


def _guard_again(state: RunState, prefix: Prefix) -> None:
    """Has the input guards see the messages that no reply follows, as those of the origin may be others."""
    entries = {message.seq: entry for entry in prefix.entries if (message := entry.message)}
    unanswered = takewhile(lambda message: message.role == "user", reversed(prefix.messages))
    for message in reversed(list(unanswered)):
        if not message.summary:
            state.checks.saw(message, entries[message.seq])
