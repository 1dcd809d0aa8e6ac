"""What a run knows of the checks of its texts: by guards, and by the type of its answers."""

from __future__ import annotations

from holdfast.answers import CarriedChecks, PendingText
from holdfast.types import AgentSpec, Entry, Message


class Checks:
    """The part of a run's state that guards and typed answers need.

    Args:
        spec: the agent.
    """

    def __init__(self, spec: AgentSpec) -> None:
        self._guards_input = bool(spec.input_guards)
        self.hides_replies = bool(spec.output_guards)
        """Whether no reply is shown as an answer before the guards have seen it."""
        self.of_answers = bool(spec.output or spec.output_guards)
        """Whether a reply must be checked before it is an answer."""
        self.reply = ""
        """The text of the newest reply, if it calls no tools."""
        self.repairs = 0
        """Number of repairs of the current answer."""
        self.typed = False
        """Whether the answer has the form that the agent declares."""
        self.pending: list[PendingText] = []
        """Messages of people that the guards have not seen yet, oldest first."""

    def saw(self, message: Message, entry: Entry) -> None:
        """Takes note of a message; one of a person begins another answer."""
        if message.role != "user" or "repair" in entry.data:
            return
        self.repairs = 0
        if self._guards_input:
            self.pending.append(PendingText(message=message.seq, entry=entry.seq, text=message.content))

    def replied(self, text: str) -> str:
        """Takes note of a reply without calls, and returns what may be shown of it before it is checked."""
        self.reply, self.typed = text, False
        return "" if self.hides_replies else text

    def went_back(self, entry: int) -> None:
        """Forgets messages after an entry, as they no longer count."""
        self.repairs = 0
        self.pending = [text for text in self.pending if text.entry <= entry]

    def carry(self, reply: Message | None, finish_reason: str | None) -> CarriedChecks:
        """Returns what the next execution needs; nothing if there is nothing to know.

        Args:
            reply: the reply that has not been checked yet; `None` means that there is none.
            finish_reason: why it ended.
        """
        carried = CarriedChecks()
        if self.repairs:
            carried.repairs = self.repairs
        if self.pending:
            carried.pending = self.pending
        if reply is not None and self.of_answers:
            carried.reply = PendingText(message=reply.seq, entry=-1, text=self.reply)
            carried.finish_reason = finish_reason
        return carried

    def resume(self, carried: CarriedChecks) -> None:
        """Restores what the previous execution carried."""
        self.repairs, self.pending = carried.repairs, list(carried.pending)
        self.reply = carried.reply.text if carried.reply else ""
