"""What a run carries over continue-as-new."""

from __future__ import annotations

from datetime import datetime

from holdfast.protocol import CarriedControl, CarriedState
from holdfast.types import Message, TranscriptRef
from holdfast.workflows.run.state import RunState


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
        files=state.files,
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
        context=state.context.carry(),
        control=_control(state, before.control if before else CarriedControl()),
        checks=state.checks.carry(_unchecked_reply(state), state.finish_reason),
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
