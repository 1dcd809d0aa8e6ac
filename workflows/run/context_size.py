"""The size of a run's context: when it is compacted, and when that no longer helps. Pure decisions."""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.attachments import Attachment
from holdfast.estimates import attached_size, text_size, tokens
from holdfast.messages import CarriedSize, Compaction, CompactionOrder
from holdfast.model_reply import ModelReply

TRIGGER = 0.8
"""Part of the model's window at which the context is compacted: the reply and the next results need room."""
GAIN = 0.1
"""Part of the context that a compaction must free at least, to be of use."""
TRIES, WITHIN = 2, 3
"""After so many compactions without gain within so many turns, the run stops: further ones would only cost."""


class ContextSize:
    """Estimates the size of the context between two model calls.

    Args:
        carried: as of the end of the previous execution.
    """

    def __init__(self, carried: CarriedSize | None = None) -> None:
        carried = carried or CarriedSize()
        self.tokens = carried.tokens
        """As of the last call, as its provider counted; 0 means that the context is small, or not known."""
        self.window = carried.window
        """The most tokens that the model accepts; `None` means that it is not known."""
        self._added = 0
        self._fruitless = list(carried.fruitless)
        self.last_turn = carried.last_turn
        """The last turn before which the context was compacted; `None` means none."""

    def carry(self) -> CarriedSize:
        """Returns what the next execution needs."""
        carried = CarriedSize()
        if self.tokens:
            carried.tokens = self.estimate
        if self.window:
            carried.window = self.window
        if self._fruitless:
            carried.fruitless = self._fruitless
        if self.last_turn is not None:
            carried.last_turn = self.last_turn
        return carried

    @property
    def estimate(self) -> int:
        """The size now, in tokens."""
        return self.tokens + tokens(self._added)

    @property
    def is_due(self) -> bool:
        """Whether the context is to be compacted before the next model call."""
        return self.window is not None and self.tokens > 0 and self.estimate >= TRIGGER * self.window

    def observe(self, reply: ModelReply) -> None:
        """Takes the size from a reply."""
        self._added = 0
        self.tokens = reply.context.tokens if reply.context else 0
        if reply.context:
            self.window = reply.context.window

    def add(self, text: str, attachments: Iterable[Attachment] = ()) -> None:
        """Takes into account what was added since the last reply."""
        self._added += text_size(text) + attached_size(attachments)

    def overflowed(self, turn: int, *, limit: int | None, size: int | None) -> None:
        """Takes into account that a provider has refused the context as too large.

        Args:
            turn: the turn that failed to begin.
            limit: the most tokens that the provider accepts; `None` if it did not say so.
            size: the tokens of the request, likewise.
        """
        if limit:
            self.window = limit
        self.tokens, self._added = max(size or 0, self.window or 0, self.estimate), 0
        if self.last_turn == turn:  # the compaction before this call was not enough, whatever it said
            self._fruitless.append(turn)

    def forget(self) -> None:
        """Forgets the size, after a restore: the next reply tells it again."""
        self.tokens = self._added = 0

    def order(self, turn: int, *, asked: bool = False, focus: str | None = None) -> CompactionOrder:
        """Returns the order to compact the context."""
        order = CompactionOrder(tokens=self.estimate if self.tokens else 0)
        if self.window:
            order.window = self.window
        if asked:
            order.asked = True
        if focus:
            order.focus = focus
        if self._recent(turn):
            order.harder = True
        return order

    def settle(self, turn: int, done: Compaction, *, counts: bool = True) -> None:
        """Takes into account what a compaction has done.

        Args:
            turn: the turn that comes next.
            done: what it has done.
            counts: whether it counts if it was without gain; one that a person asked for does not.
        """
        self.tokens, self._added, self.last_turn = done.tokens_after, 0, turn
        has_gained = done.tokens_after <= (1 - GAIN) * done.tokens_before
        if counts and (not has_gained or self.is_due):
            self._fruitless.append(turn)

    def is_thrashing(self, turn: int) -> bool:
        """Whether compactions no longer help."""
        return len(self._recent(turn)) >= TRIES

    def _recent(self, turn: int) -> list[int]:
        self._fruitless = [each for each in self._fruitless if turn - each < WITHIN]
        return self._fruitless
