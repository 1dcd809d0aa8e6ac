"""The transcript of a run, as its log has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from holdfast.context import context_of, in_force
from holdfast.types import AgentSpec, Entry, Message


@dataclass(frozen=True)
class Transcript:
    """What was said in a run.

    Attributes:
        entries: the run's log, oldest first.
    """

    entries: Sequence[Entry]

    @property
    def spec(self) -> AgentSpec | None:
        """The agent's definition; `None` means that the run recorded nothing."""
        try:
            return AgentSpec.model_validate(self.entries[0].data["agent"], extra="allow")
        except (IndexError, KeyError, ValidationError):
            return None

    @property
    def messages(self) -> list[Message]:
        """The whole transcript."""
        return [message for entry in self.entries if (message := entry.message)]

    @property
    def counting(self) -> list[Message]:
        """The messages that count: without those that a restore left behind, in the order that providers expect.

        What a compaction has taken out of the context is included.
        """
        if self.spec is None:
            return []
        kept = [entry for entry in in_force(self.entries) if entry.kind not in {"restored", "compaction"}]
        return context_of(kept).messages

    @property
    def answered(self) -> list[Message]:
        """The transcript up to the model's last complete answer; empty without one.

        Training data must not end with a question, an unanswered tool call, or half a sentence.
        """
        messages, end, open_calls = self.counting, 0, set[str]()
        for place, message in enumerate(messages, start=1):
            if message.partial:
                break
            if message.role == "tool":
                open_calls.discard(message.tool_call_id or "")
            elif open_calls:
                break
            open_calls.update(call.id for call in message.tool_calls)
            if message.role == "assistant" and not message.tool_calls:
                end = place
        return messages[:end]
