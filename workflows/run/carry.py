"""The state that a run carries over continue-as-new, and with which it resumes."""

from __future__ import annotations

from datetime import datetime

from holdfast.budgets import CarriedBudget
from holdfast.carried import CarriedControl
from holdfast.protocol import CarriedState, RunRequest
from holdfast.types import Message, RunStatus, TranscriptRef
from holdfast.workflows.run.clock import RunClock
from holdfast.workflows.run.context_state import ContextState
from holdfast.workflows.run.log import Log
from holdfast.workflows.run.messages import MessageQueue
from holdfast.workflows.run.state import RunState
from holdfast.workflows.run.tree import Tree


def carried_state(state: RunState, now: datetime, execution: str, *, acked: TranscriptRef | None) -> CarriedState:
    """Returns the state that the next execution resumes from; fields of a newer version are kept.

    Args:
        state: the run.
        now: workflow time.
        execution: Temporal's id of this execution.
        acked: the newest entry that the mirror has acknowledged.
    """
    before = state.request.carried
    return CarriedState(
        **((before.model_extra or {}) if before else {}),
        chain=state.chain,
        previous=execution,
        plan=state.plan,
        head=state.head,
        **({"acked": acked, "unsent": unsent} if acked and (unsent := state.log.after(acked.seq)) else {}),
        next_message=state.log.next_message,
        turns=state.turns,
        tool_calls=state.tool_calls,
        usage=state.usage,
        output=state.output,
        model=state.model,
        files=state.files.names,
        started_at=state.started_at,
        pending_calls=state.pending_calls,
        calls_made=state.calls_made,
        asked=state.asked,
        resolutions=state.resolutions,
        forked=state.forked,
        pending_places=state.pending_places,
        decisions=state.decisions,
        spent=state.clock.spent(now),
        **({"budget": state.budget} if state.plan.budget else {}),
        **({"reported": state.reported} if state.reported else {}),
        **({"stage": state.stage} if state.stage else {}),
        **({"active": state.active} if state.active is not None else {}),
        **({"handoffs": state.handoffs} if state.handoffs else {}),
        **({"next_model": state.next_model} if state.next_model else {}),
        context=state.context.carry(),
        control=_control(state, before.control if before else CarriedControl()),
        checks=state.checks.carry(_unchecked_reply(state), state.finish_reason),
        workspace=state.workspace,
        tree=state.tree.carry(),
    )


def _unchecked_reply(state: RunState) -> Message | None:
    """Returns the newest message, if it is a reply that may be an answer."""
    last = state.last_message
    is_reply = last is not None and last.role == "assistant" and not last.partial
    return last if is_reply and not state.pending_calls and not state.answered else None


def _control(state: RunState, before: CarriedControl) -> CarriedControl:
    return CarriedControl(
        **(before.model_extra or {}),
        paused=state.paused,
        answered=state.answered,
        interrupted=state.interrupted,
        exchange=state.exchange,
        queue=state.queue.messages,
        waits=list(state.open_waits.values()),
        answers=state.answers,
    )


def resumed(run_id: str, request: RunRequest, carried: CarriedState, *, now: datetime) -> RunState:
    """Returns the state of a run that continued as new: with its counters, and the head of its log."""
    log = Log(
        head=carried.acked or carried.head,
        next_message=carried.next_message,
        previous=carried.previous,
        carried=carried.unsent,
    )
    clock = RunClock(carried.plan.timeout, spent=carried.spent, now=now)
    state = RunState(
        run_id, request, carried.plan, chain=carried.chain, log=log, started_at=carried.started_at, clock=clock
    )
    state.turns = carried.turns
    state.tool_calls = carried.tool_calls
    state.usage = carried.usage
    state.output = carried.output
    state.model = carried.model
    state.pending_calls = list(carried.pending_calls)
    state.calls_made = carried.calls_made
    made = range(carried.calls_made, carried.calls_made + len(carried.pending_calls))
    state.pending_places = list(carried.pending_places or made)
    state.decisions = carried.decisions.model_copy(deep=True)
    state.asked = carried.asked
    state.resolutions = dict(carried.resolutions)
    state.forked, state.reported, state.stage = carried.forked, carried.reported, carried.stage
    state.files.add(carried.files)
    state.workspace = carried.workspace
    state.active, state.handoffs, state.next_model = carried.active, carried.handoffs, carried.next_model
    state.budget = carried.budget.model_copy() if carried.budget else CarriedBudget()
    state.tree = Tree(carried.tree)
    control = carried.control
    state.paused, state.answered, state.exchange = control.paused, control.answered, control.exchange
    state.interrupted = control.interrupted
    state.queue = MessageQueue(control.queue)
    state.open_waits = {wait.id: wait for wait in control.waits}
    state.answers = dict(control.answers)
    state.context = ContextState(log, carried.context)
    state.checks.resume(carried.checks, state.spec)
    if (reply := carried.checks.reply) is not None:
        state.finish_reason, state.answer = carried.checks.finish_reason, state.checks.replied(reply.text)
        state.context.resume(Message(seq=reply.message, role="assistant", content=reply.text))
    state.status = state.next_status
    if state.status != RunStatus.RUNNING:
        clock.stop(now)
    return state
