"""Calls the model; the transcript travels by reference."""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from holdfast import names
    from holdfast.errors import ErrorType
    from holdfast.protocol import ModelCall
    from holdfast.types import Message, ModelReply, RunError, TranscriptRef
    from holdfast.workflows import options
    from holdfast.workflows.mirror import Outbox
    from holdfast.workflows.state import RunState
    from holdfast.workflows.view import View


class ModelCaller:
    """Knows which point of the log the next call can refer to, and what to do when that fails."""

    def __init__(self, state: RunState, outbox: Outbox, view: View) -> None:
        self._state = state
        self._outbox = outbox
        self._view = view
        self._last_head: TranscriptRef | None = None

    async def call(self) -> ModelReply:
        """Makes the next model call; after a cancel, gives what there was of the answer.

        Raises:
            ActivityError: the call failed for good.
        """
        head = self._state.head
        try:
            reply = await self._execute(await self._by_reference(head))
        except ActivityError as error:
            if error_type(error) != ErrorType.TRANSCRIPT_UNAVAILABLE:
                raise
            reply = await self._execute(await self._inline(head))
        self._last_head = head
        return reply

    async def _by_reference(self, head: TranscriptRef) -> ModelCall:
        """Refers to what the mirror has or, where it is behind, to what the last call left in the worker's cache."""
        base = self._outbox.acked
        if self._last_head and (base is None or base.seq < self._last_head.seq):
            base = self._last_head
        if base is None:
            return await self._inline(head)
        if self._state.log.size_after(base.seq) > options.INLINE_LIMIT:
            self._view.doing("waiting for the store to take a very long turn")
            await self._outbox.flush()
            base = head
        return self._request(head, base, self._state.log.messages_after(base.seq))

    async def _inline(self, head: TranscriptRef) -> ModelCall:
        """Sends the whole context; where that cannot be, waits for the mirror and refers to it."""
        context = self._state.context()
        if context is None:
            self._view.doing("waiting for the mirror to be written anew")
            base = await self._outbox.rebuild()
            return self._request(head, base, self._state.log.messages_after(base.seq))
        if self._state.log.size_after(-1) > options.INLINE_LIMIT:
            self._view.doing("waiting for the store, as the context is too long to travel")
            await self._outbox.flush()
            return self._request(head, head, [])
        call = self._request(head, None, [])
        call.context = context
        return call

    def _request(self, head: TranscriptRef, base: TranscriptRef | None, tail: list[Message]) -> ModelCall:
        state = self._state
        return ModelCall(
            run_id=state.run_id, turn=state.turns + 1, base=base, tail=tail, head=head, deadline=state.deadline
        )

    async def _execute(self, call: ModelCall) -> ModelReply:
        state = self._state
        self._view.doing(f"turn {call.turn}: the model answers")
        reply: ModelReply = await workflow.execute_activity(
            names.MODEL_CALL,
            call,
            result_type=ModelReply,
            summary=f"turn {call.turn} · {state.model or state.plan.expected_model}",
            **options.MODEL_CALL,
        )
        return reply


def error_type(error: ActivityError) -> str | None:
    """The type that the activity gave its failure."""
    return error.cause.type if isinstance(error.cause, ApplicationError) else None


def out_of_time(error: ActivityError) -> bool:
    """Whether the run's time limit left no room for another attempt: nothing else ends those that may be repeated."""
    return error_type(error) == ErrorType.MODEL_UNAVAILABLE


def run_error(error: ActivityError) -> RunError:
    """A failed model call as the reason why the run failed, in the provider's words."""
    cause = error.cause
    if isinstance(cause, ApplicationError):
        return RunError(type=cause.type or ErrorType.INTERNAL, message=cause.message)
    return RunError(type=ErrorType.INTERNAL, message=str(cause or error))
