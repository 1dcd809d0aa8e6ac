"""Restores: a run goes back to a checkpoint, and its log keeps what came after it."""

from __future__ import annotations

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from holdfast import names
    from holdfast.carried import RestoreOrder
    from holdfast.checkpoints import RestorePoint, find_checkpoint, restore_point, turn_of
    from holdfast.commands import Restore
    from holdfast.errors import TranscriptUnavailable, UsageError
    from holdfast.protocol import RestoreQuery
    from holdfast.types import Message, ToolResult
    from holdfast.workflows import options, workflow_time
    from holdfast.workflows.calls import call_activity
    from holdfast.workflows.run.control import Refusal
    from holdfast.workflows.run.outbox import Outbox
    from holdfast.workflows.run.state import RunState
    from holdfast.workflows.run.step import Step

LAPSING = frozenset({"approval", "question", "call", "timer", "event"})
"""Kinds of waits that end if the run goes back; a paused run stays paused, and a budget stays exhausted."""
LAPSED = "not called: the run went back to an earlier point"
OPEN = "no result: the run went back to a point at which this call was not finished; it may have taken effect"


class Restoring:
    """Finds the point of a checkpoint, and takes the run back to it between two steps.

    Args:
        state: the run.
        step: its current step, which a restore stops.
        outbox: knows which part of the log the mirror has.
    """

    def __init__(self, state: RunState, step: Step, outbox: Outbox) -> None:
        self._state = state
        self._step = step
        self._outbox = outbox
        self._search: asyncio.Task[None] | None = None
        if state.context.restoring:  # of the execution before
            self._begin_search(state.context.restoring)

    def check(self, command: Restore) -> None:
        """Refuses a checkpoint that the run does not have; of earlier executions, only the turns are known."""
        state = self._state
        if state.log.first == 0:
            try:
                find_checkpoint(state.log.after(-1), command.checkpoint, state.run_id)
            except UsageError as error:
                raise Refusal(str(error)) from None
        elif (turn := turn_of(command.checkpoint)) is not None and turn > state.turns:
            raise Refusal(f"run {state.run_id!r} has no checkpoint {command.checkpoint!r}: it is in turn {state.turns}")

    def request(self, command: Restore, _seq: int) -> None:
        """Begins a restore; a later one takes its place."""
        state = self._state
        order = RestoreOrder(checkpoint=command.checkpoint, command=command.id or "")
        if command.by is not None:
            order.by = command.by
        if self._search is not None:
            self._search.cancel()
        if state.log.first == 0:
            self._found(order, restore_point(state.log.after(-1), command.checkpoint, state.run_id))
        else:
            self._begin_search(order)

    def finish(self) -> None:
        """Takes the run back to the point that was found, once its step has ended."""
        state, now = self._state, workflow_time.now()
        point, order = state.context.restore_to, state.context.restoring
        assert point is not None, "a restore is finished when its point was found"
        assert order is not None, "a point belongs to a restore"
        state.context.restore_to, state.context.restoring, state.interrupted = None, None, False
        state.withdraw_waits(now, keeps_pause=True)
        state.decisions.grants.clear()
        if state.pending_calls:
            for call in state.pending_calls:
                state.record_tool_result(now, call, ToolResult(error=LAPSED))
            state.mark_turn(now)
        for wait in [wait for wait in state.open_waits.values() if wait.kind in LAPSING]:
            state.end_wait(now, wait.id, "withdrawn")
        facts = {"by": order.by} if order.by is not None else {}
        entry = state.record(
            "restored", now, {"to": point.ref.seq, "checkpoint": point.id, "command": order.command, **facts}
        )
        state.workspace = state.workspace.gone_back(point.workspace, entry.seq)
        for call in point.open_calls:
            state.add_tool_result(now, call, ToolResult(error=OPEN), turn=point.turn)
        self._reset(point)

    def drop(self) -> None:
        """Records that a restore was not carried out, as the run has ended."""
        state, order = self._state, self._state.context.restoring
        if self._search is not None:
            self._search.cancel()
        if order is not None:
            self._refuse(order, "the run ended before it went back")
        state.context.restoring = state.context.restore_to = None

    def _reset(self, point: RestorePoint) -> None:
        state = self._state
        is_answered = point.answered and not point.open_calls
        answer = Message(seq=-1, role="assistant", content=point.output) if is_answered else None
        state.context.restored(answer)
        state.pending_calls, state.pending_places, state.calls_made = [], [], 0
        if state.active != point.active:
            state.act_as(point.active)
        state.checks.went_back(point.ref.seq)
        state.answer = state.checks.replied(point.output if is_answered else "")
        state.output = "" if state.checks.hides_replies else point.output
        state.finish_reason = "stop" if is_answered else None
        if state.request.session:
            state.answered, state.exchange = is_answered, state.turns
            state.open_waits.pop("message", None)

    def _begin_search(self, order: RestoreOrder) -> None:
        self._state.context.restoring = order
        self._search = asyncio.create_task(self._find(order))

    async def _find(self, order: RestoreOrder) -> None:
        """Finds a point in executions before this one, while the run continues; then its step is stopped."""
        try:
            point = await call_activity(
                names.RUN_RESTORE_POINT,
                await self._query(order.checkpoint),
                RestorePoint,
                summary="the point of a checkpoint",
                **options.RESTORE_POINT,
            )
        except (ActivityError, ApplicationError, TranscriptUnavailable) as error:
            cause = error.cause if isinstance(error, ActivityError) else error
            reason = cause.message if isinstance(cause, ApplicationError) else str(cause)
            self._refuse(order, reason)
            self._state.context.restoring = None
        else:
            self._found(order, point)

    async def _query(self, checkpoint: str) -> RestoreQuery:
        state, base = self._state, self._outbox.acked
        after = base.seq if base else -1
        if state.log.size_after(after) > options.INLINE_LIMIT:
            await self._outbox.flush()
            base = state.head
        return RestoreQuery(
            run_id=state.run_id,
            checkpoint=checkpoint,
            base=base,
            entries=state.log.after(base.seq if base else -1),
        )

    def _found(self, order: RestoreOrder, point: RestorePoint) -> None:
        self._state.context.restoring, self._state.context.restore_to = order, point
        self._step.stop()

    def _refuse(self, order: RestoreOrder, reason: str) -> None:
        """Records that a command which was taken cannot be carried out."""
        given = order.checkpoint
        self._state.record_refusal(workflow_time.now(), Restore.NAME, reason, given, id=order.command)
