"""Model calls: the transcript is sent by reference, and each call appends the newest entries to the mirror."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pydantic import ValidationError
from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.exceptions import TimeoutError as ActivityTimeout

with workflow.unsafe.imports_passed_through():
    from holdfast import names
    from holdfast.bounds import shortened
    from holdfast.errors import ErrorType
    from holdfast.messages import CompactionOrder
    from holdfast.model_reply import ModelReply
    from holdfast.protocol import ModelCall, ModelProgress
    from holdfast.types import RunError, TranscriptRef
    from holdfast.workflows import options, workflow_time
    from holdfast.workflows.calls import MESSAGE_CHARS, call_activity, error_type
    from holdfast.workflows.run.code_process import CodeProcess, has_not_begun
    from holdfast.workflows.run.model_queue import ModelQueue
    from holdfast.workflows.run.outbox import MAX_BATCH_BYTES, MAX_BATCH_ENTRIES, Outbox
    from holdfast.workflows.run.report import summary_of
    from holdfast.workflows.run.state import RunState
    from holdfast.workflows.run.view import View
    from holdfast.workflows.run.waits import Waits


CUT_OFF = RunError(
    type=ErrorType.BUDGET_EXCEEDED,
    message="the model's answer was cut off where the budget of the run, or a daily budget, had no more room for it; "
    "run again with a larger budget",
)
"""Why an answer ends early that a budget had no more room for."""
A_SLOT = "a free slot (MAX_CONCURRENT_AGENTS)"


class ModelCaller:
    """Chooses what each call refers to and carries, and recovers if the worker lacks the context."""

    def __init__(self, state: RunState, outbox: Outbox, view: View, process: CodeProcess) -> None:
        """
        Args:
            state: the run.
            outbox: sends entries to the mirror.
            view: shows what the run is doing.
            process: waits for the process whose code makes the calls, if one does.
        """
        self._state = state
        self._process = process
        self._lost: ModelProgress | None = None
        """What the last attempt of the current call told before its process was lost."""
        self._outbox = outbox
        self._view = view
        self._last_head: TranscriptRef | None = None
        self._waits = Waits(state, view)
        self._queue = ModelQueue(state)
        self.max_output: int | None = None
        """Tokens that the next reply may have by the budget; `None` means that it sets no limit."""
        self.cut_off: RunError | None = None
        """Why the last reply ends early, if a budget has cut it off."""
        self._compact: CompactionOrder | None = None
        """How the current call compacts the context, if it does."""

    async def call(self, pauses: Callable[[], bool], *, compact: CompactionOrder | None = None) -> ModelReply | None:
        """Makes the next model call, which appends the entries since the last one to the mirror.

        Args:
            pauses: whether to stop waiting for a worker with the model of the run.
            compact: set if the call compacts the context.

        Returns:
            The reply; after a cancel, the part of it that had arrived. `None` means that the call was not made.

        Raises:
            ActivityError: the call failed permanently.
        """
        self._compact, self._lost, spec = compact, None, self._state.spec
        if not spec.calls_model_itself:
            what = f"a worker with the models of {self._state.plan.provider!r}, with which the run began"
            return await self._waits.until_served(what, self._call, pauses=pauses)
        what = f"a worker that has the code of agent {spec.name!r}, which makes its model calls"
        try:
            return await self._waits.until_served(what, self._by_code, pauses=pauses)
        except asyncio.CancelledError:  # while the run waited for the process
            return None

    async def _by_code(self) -> ModelReply | None:
        """Makes a call in the process that has the code of the agent; `None` if the run is to continue as new."""

        async def call(_again: bool) -> ModelReply:
            try:
                return await self._call()
            except ActivityError as error:
                self._lost = lost_progress(error) or self._lost
                raise

        return await self._process.served(call)

    async def take_slot(self) -> None:
        """Waits for a slot of the worker, and says so; the run is queued until its first one."""
        state = self._state
        state.is_queued = state.own_turns == 0
        with self._view.waiting_for(A_SLOT):
            if state.is_queued:
                self._view.update()
            await call_activity(names.RUN_SLOT, state.run_id, bool, summary=f"waiting for {A_SLOT}", **options.RUN_SLOT)
        if state.is_queued:
            state.is_queued = False
            self._view.update()

    async def _call(self) -> ModelReply:
        while True:
            try:
                return await self._call_in_slot()
            except ActivityError as error:
                if error_type(error) != ErrorType.NO_SLOT:
                    raise
            await self.take_slot()

    async def _call_in_slot(self) -> ModelReply:
        try:
            reply = await self._execute(await self._by_reference())
        except ActivityError as error:
            if error_type(error) != ErrorType.TRANSCRIPT_UNAVAILABLE:
                raise
            reply = await self._execute(await self._inline())
        return reply

    async def _by_reference(self) -> ModelCall:
        """Refers to the mirror's newest entry or, if the mirror lags, to the worker's cache from the last call."""
        base = self._outbox.acked
        if not self._can_append(base):
            self._outbox.send()
            if self._last_head and (base is None or base.seq < self._last_head.seq):
                base = self._last_head
        if base is None:
            return await self._inline()
        if self._state.log.size_after(base.seq) > options.INLINE_LIMIT:
            self._view.show_activity("waiting for the store, as this turn is too large to send inline")
            await self._outbox.flush()
            base = self._outbox.acked or base
        return self._request(base)

    async def _inline(self) -> ModelCall:
        """Carries the whole log; if that is too large or in an earlier execution, refers to the mirror."""
        log = self._state.log
        if log.first > 0:
            self._view.show_activity("rebuilding the mirror")
            return self._request(await self._outbox.rebuild())
        if log.size_after(-1) > options.INLINE_LIMIT:
            self._view.show_activity("waiting for the store, as the context is too large to send inline")
            await self._outbox.flush()
            return self._request(self._outbox.acked)
        return self._request(None)

    def _request(self, base: TranscriptRef | None) -> ModelCall:
        state = self._state
        call = ModelCall(
            run_id=state.run_id,
            turn=state.turns + 1,
            base=base,
            entries=state.log.after(base.seq if base else -1),
            deadline=state.deadline(workflow_time.now()),
            provider=state.plan.provider,
            slot_only=True,
        )
        if state.spec.calls_model_itself:
            call.agent = state.spec.name
            if state.request.context is not None:
                call.context = state.request.context
        if self._lost is not None:
            call.earlier_attempts, call.spent = self._lost.attempt, self._lost.spent
        if state.plan.budget or state.plan.day_budgets:
            call.is_limited = True
        if self.max_output is not None:
            call.max_output = self.max_output
        if state.plan.day_budgets:
            call.day_budgets = state.plan.day_budgets
        if self._compact:
            call.compact = self._compact
        if call.entries and self._can_append(base):
            call.chain, call.summary = state.chain, summary_of(state)
        return call

    def _can_append(self, base: TranscriptRef | None) -> bool:
        """Whether a call may append the entries after `base`: the mirror needs them next, and they fit in a batch."""
        if not self._outbox.is_idle or (base is not None and base != self._outbox.acked):
            return False
        entries = self._state.log.after(base.seq if base else -1)
        return len(entries) <= MAX_BATCH_ENTRIES and sum(entry.size for entry in entries) <= MAX_BATCH_BYTES

    async def _execute(self, call: ModelCall) -> ModelReply:
        state = self._state
        what = "compacting the context" if call.compact else "calling the model"
        waits = ", which waits for its turn (MODEL_CALLS_PER_SECOND)" if self._queue.is_rated else ""
        self._view.show_activity(f"turn {call.turn}: {what}{waits}")
        doing = "compact the context" if call.compact else f"turn {call.turn}"
        with state.calling():
            reply = await self._queue.call(call, summary=f"{doing} · {state.asked_model}")
        self._last_head = call.head
        self.cut_off = CUT_OFF if reply.cut_by_budget else None
        if reply.mirrored:
            self._outbox.acked = call.head
        elif call.summary is not None:
            self._outbox.send()
        return reply


def lost_progress(error: ActivityError) -> ModelProgress | None:
    """Returns what the last attempt of a call told with its heartbeats, if nobody began another attempt in time."""
    if not has_not_begun(error) or not isinstance(error.cause, ActivityTimeout):
        return None
    try:
        return ModelProgress.model_validate(error.cause.last_heartbeat_details[0])
    except (IndexError, ValidationError):
        return None


def out_of_time(error: ActivityError) -> bool:
    """Whether the run's time limit left no time for another attempt."""
    return error_type(error) == ErrorType.TIMED_OUT


def run_error(error: ActivityError) -> RunError:
    """Returns a failed call as the reason why the run failed, with the provider's message."""
    cause = error.cause
    if isinstance(cause, ApplicationError):
        return RunError(type=cause.type or ErrorType.INTERNAL, message=shortened(cause.message, MESSAGE_CHARS))
    return RunError(type=ErrorType.INTERNAL, message=shortened(str(cause or error), MESSAGE_CHARS))
