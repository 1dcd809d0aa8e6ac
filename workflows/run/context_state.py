"""The state that determines the context of the next model call, beside the log: its size, and orders of commands."""

from __future__ import annotations

from datetime import datetime

from holdfast.carried import CarriedContext, CompactOrder, RestoreOrder
from holdfast.checkpoints import Checkpoint, RestorePoint, turn_name
from holdfast.types import Message
from holdfast.workflows.run.context_size import ContextSize
from holdfast.workflows.run.log import Log


class ContextState:
    """The part of a run's state that checkpoints, restores and compactions change.

    Args:
        log: the log of the run.
        carried: as of the end of the previous execution.
    """

    def __init__(self, log: Log, carried: CarriedContext | None = None) -> None:
        carried = carried or CarriedContext()
        self._log = log
        self.size = ContextSize(carried.size)
        self.compacting: CompactOrder | None = carried.compacting
        """A person's order to compact the context before the next model call."""
        self.restoring: RestoreOrder | None = carried.restoring
        """A restore that was not carried out yet."""
        self.restore_to: RestorePoint | None = None
        """The point that the run goes back to when its current step has stopped."""
        self.checkpoints: list[Checkpoint] = []
        """Those of this execution, oldest first."""
        self._marked: int | None = None
        """The last turn that has one."""
        self._first = 0
        self._before: Message | None = None

    def carry(self) -> CarriedContext:
        """Returns what the next execution needs; nothing if there is nothing to know."""
        carried, size = CarriedContext(), self.size.carry()
        if size.model_fields_set:
            carried.size = size
        if self.restoring:
            carried.restoring = self.restoring
        if self.compacting:
            carried.compacting = self.compacting
        return carried

    @property
    def is_disturbed(self) -> bool:
        """Whether a command has something to do for a session that waits, which is not a message."""
        return self.restore_to is not None or self.compacting is not None

    @property
    def last_message(self) -> Message | None:
        """The newest message that counts; `None` right after continue-as-new, or if a restore says nothing of it."""
        messages = self._log.messages
        return messages[-1] if messages and self._log.next_message > self._first else self._before

    def resume(self, last: Message) -> None:
        """Takes note of the newest message of the execution before."""
        self._before = last

    def restored(self, before: Message | None) -> None:
        """Makes the messages so far count no more.

        Args:
            before: the answer that the run has gone back to; `None` means that the model has to be called.
        """
        self._first, self._before = self._log.next_message, before
        self.size.forget()

    def mark_turn(self, now: datetime, turn: int) -> None:
        """Adds the checkpoint of a turn that has ended, at its last message."""
        name, ref = turn_name(turn), self._log.last_message_ref
        if ref is not None and turn != self._marked:  # a reply that is checked again ends its turn once
            self._marked = turn
            self.checkpoints.append(Checkpoint(id=name, name=name, turn=turn, at=now, ref=ref))
