"""Model calls whose context is kept within the model's window."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from holdfast.carried import CompactOrder
    from holdfast.errors import ErrorType
    from holdfast.messages import Compaction, CompactionOrder
    from holdfast.model_reply import ModelReply
    from holdfast.types import RunError
    from holdfast.workflows import workflow_time
    from holdfast.workflows.calls import error_type
    from holdfast.workflows.run.model_calls import ModelCaller, run_error
    from holdfast.workflows.run.state import RunState

DUE, OVERFLOW, ASKED = "window", "overflow", "command"
"""Why a context was compacted, in entries."""


class ContextFull(Exception):
    """The context is too large, and compacting it does not help."""

    def __init__(self, reason: RunError) -> None:
        super().__init__(reason.message)
        self.reason = reason


class CompactingCaller:
    """Calls the model, and compacts the context before it if it is nearly full, or after the provider refuses it.

    Args:
        state: the run.
        model: makes the calls.
    """

    def __init__(self, state: RunState, model: ModelCaller) -> None:
        self._state = state
        self._model = model

    async def call(self, is_continuing: Callable[[], bool]) -> ModelReply | None:
        """Makes the next model call.

        Args:
            is_continuing: whether the run is to continue as new.

        Returns:
            The reply; after a cancel, the part of it that had arrived. `None` means that the call was not made.

        Raises:
            ActivityError: the call failed permanently.
            ContextFull: the context is too large for the model, also after compactions.
        """
        if self._state.context.compacting and not await self.compact_as_asked(is_continuing):
            return None
        size, turn = self._state.context.size, self._state.turns + 1
        if size.is_due and size.last_turn != turn and not await self._compact(is_continuing, DUE, size.order(turn)):
            return None
        while True:
            try:
                return await self._model.call(is_continuing)
            except ActivityError as error:
                if error_type(error) != ErrorType.CONTEXT_OVERFLOW:
                    raise
                refusal = run_error(error).message
                size.overflowed(turn, **_sizes(error))
            if size.is_thrashing(turn):
                raise self._full(turn, refusal)
            done = await self._compact(is_continuing, OVERFLOW, size.order(turn))
            if done is None:
                return None
            if not done.cleared and not done.summarized:
                raise self._full(turn, f"{done.error}; {refusal}" if done.error else refusal)

    async def compact_as_asked(self, is_continuing: Callable[[], bool]) -> bool:
        """Compacts the context as a person has asked, and returns whether it was done."""
        state, asked = self._state, self._state.context.compacting
        assert asked is not None, "only called if someone has asked"
        order = state.context.size.order(state.turns + 1, asked=True, focus=asked.focus)
        return await self._compact(is_continuing, ASKED, order) is not None

    async def _compact(self, is_continuing: Callable[[], bool], why: str, order: CompactionOrder) -> Compaction | None:
        """Compacts the context, and returns what was done; `None` means that the call was stopped, or not made."""
        state, turn = self._state, self._state.turns + 1
        asked = state.context.compacting
        reply = await self._model.call(is_continuing, compact=order)
        if reply is None:
            return None
        state.usage += reply.usage
        if reply.compaction is None:  # it was stopped
            state.context.compacting = None
            return None
        state.record("compaction", workflow_time.now(), _facts(why, reply, asked if why == ASKED else None))
        state.context.size.settle(turn, reply.compaction, counts=why != ASKED)
        if state.plan.budget is not None:  # what the next call reserves
            state.budget.context_tokens, state.budget.counted = reply.compaction.tokens_after, state.log.next_message
        if why == ASKED:
            state.context.compacting = None
        elif state.context.size.is_thrashing(turn):
            raise self._full(turn, reply.compaction.error)
        return reply.compaction

    def _full(self, turn: int, why: str | None) -> ContextFull:
        size, told = self._state.context.size, f" ({why})" if why else ""
        limit = f" of at most {size.window:,}" if size.window else ""
        message = (
            f"the context has some {size.estimate:,}{limit} tokens before turn {turn}, and compacting it frees "
            f"too little{told}: what must stay is too large. Use a model with a larger context, or let "
            "tools return less"
        )
        return ContextFull(RunError(type=ErrorType.CONTEXT_OVERFLOW, message=message))


def _facts(why: str, reply: ModelReply, asked: CompactOrder | None) -> dict[str, Any]:
    """Returns the data of the entry."""
    assert reply.compaction is not None, "only a compaction that was done is recorded"
    facts: dict[str, Any] = {"reason": why, **reply.compaction.model_dump(mode="json", exclude_unset=True)}
    if reply.compaction.summarized:
        facts["summary"] = reply.content
    if reply.usage.requests:
        facts |= reply.model_dump(mode="json", include={"model", "usage", "seconds"})
    if asked:
        facts |= asked.model_dump(mode="json", include={"focus", "by"}, exclude_none=True)
    return facts


def _sizes(error: ActivityError) -> dict[str, int | None]:
    """Returns the sizes that the provider has named, in the details of the failure."""
    details = error.cause.details if isinstance(error.cause, ApplicationError) else ()
    report = details[0] if details and isinstance(details[0], dict) else {}
    sizes = {name: report.get(name) for name in ("limit", "size")}
    return {name: size if isinstance(size, int) else None for name, size in sizes.items()}
