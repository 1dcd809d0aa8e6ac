"""The decision of a run to continue as new, in a fresh history."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from holdfast.workflows import options
    from holdfast.workflows.run.children import Children
    from holdfast.workflows.run.outbox import Outbox


class Continuation:
    """Decides when a run continues as new: not before the mirror is complete, as the next execution reads it.

    Entries that are recorded at the last moment are handed over to the next execution.

    Args:
        outbox: to the mirror.
    """

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._next_try = 0
        """Length of the history at which the run tries again, after the mirror lagged."""

    def is_near(self) -> bool:
        """Whether no further call of this turn is begun, so that the run can continue as new before it."""
        info = workflow.info()
        length = info.get_current_history_length()
        return info.is_continue_as_new_suggested() and (length >= self._next_try or length > options.MAX_EVENTS)

    async def begins(self, children: Children) -> bool:
        """Whether the run continues as new now, which the mirror may not allow yet.

        Args:
            children: of the run; the open ones report their end to the next execution.
        """
        if not self.is_near():
            return False
        await children.hand_over()
        must_continue = workflow.info().get_current_history_length() > options.MAX_EVENTS
        if await self._outbox.can_hand_over(None if must_continue else options.FLUSH_TIMEOUT):
            return True
        self._next_try = workflow.info().get_current_history_length() + options.EVENTS_BETWEEN_TRIES
        return False
