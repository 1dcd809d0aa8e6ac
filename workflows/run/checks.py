"""The checks of the texts of a run: by guards, and by the type of its answers."""

from __future__ import annotations

from holdfast.answers import CarriedChecks, PendingText
from holdfast.types import AgentSpec, Entry, Message


class Checks:
    """The part of a run's state that guards and typed answers need.

    Args:
        spec: the agent.
    """

    def __init__(self, spec: AgentSpec) -> None:
        self._hears = any(agent.input_guards for agent in (spec, *spec.team.values())) and bool(spec.team)
        self._spec = spec
        self.reply = ""
        """The text of the newest reply, if it calls no tools."""
        self.repairs = 0
        """Number of repairs of the current answer."""
        self.typed = False
        """Whether the answer has the form that the agent declares."""
        self.pending: list[PendingText] = []
        """Messages of people that the guards have not seen yet, oldest first."""
        self._heard: list[PendingText] = []
        """Messages of people since the last answer, if another agent with guards may take over."""

    @property
    def hides_replies(self) -> bool:
        """Whether no reply is shown as an answer before the guards have seen it."""
        return bool(self._spec.output_guards)

    @property
    def of_answers(self) -> bool:
        """Whether a reply must be checked before it is an answer."""
        return bool(self._spec.output or self._spec.output_guards)

    def follow(self, spec: AgentSpec) -> None:
        """Takes note of the agent that has taken over: its guards see what people have said since the last answer."""
        self._spec, self.repairs = spec, 0
        self.pending = list(self._heard) if spec.input_guards else []

    def answered(self) -> None:
        """Takes note of an answer, with which a session waits for the next message."""
        self._heard = []

    def saw(self, message: Message, entry: Entry) -> None:
        """Takes note of a message; one of a person begins another answer."""
        if message.role != "user" or "repair" in entry.data:
            return
        self.repairs = 0
        text = PendingText(message=message.seq, entry=entry.seq, text=message.content)
        if self._spec.input_guards:
            self.pending.append(text)
        if self._hears:
            self._heard.append(text)

    def replied(self, text: str) -> str:
        """Takes note of a reply without calls, and returns what may be shown of it before it is checked."""
        self.reply, self.typed = text, False
        return "" if self.hides_replies else text

    def went_back(self, entry: int) -> None:
        """Forgets messages after an entry, as they no longer count."""
        self.repairs = 0
        self.pending = [text for text in self.pending if text.entry <= entry]
        self._heard = [text for text in self._heard if text.entry <= entry]

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
        if self._heard:
            carried.heard = self._heard
        if reply is not None and self.of_answers:
            carried.reply = PendingText(message=reply.seq, entry=-1, text=self.reply)
            carried.finish_reason = finish_reason
        return carried

    def resume(self, carried: CarriedChecks, spec: AgentSpec) -> None:
        """Restores what the previous execution carried, in which this agent acted."""
        self._spec = spec
        self.repairs, self.pending, self._heard = carried.repairs, list(carried.pending), list(carried.heard)
        self.reply = carried.reply.text if carried.reply else ""
