"""Sample runs, for the conformance suite of stores."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from holdfast.types import (
    AgentSpec,
    Entry,
    EntryBatch,
    EntryKind,
    Message,
    RunId,
    RunStatus,
    RunSummary,
    ToolCall,
    ToolSpec,
    TranscriptRef,
    Usage,
)

SPEC = AgentSpec(
    name="sample",
    system_prompt="You read files.",
    tools=[ToolSpec(name="read_file", activity="tool.read_file", read_only=True)],
)


class SampleRun:
    """The log of a run: its start and input, then for each turn a tool call, its result and a status.

    Args:
        turns: number of turns, with three entries each.
        run_id: id of the run; `None` makes a unique one.
        chain: see `CarriedState.chain`.
        started_at: start of the run; `None` means now.
        text: used wherever a run has free text.
        extra: a value in the data of entry 0.
        differs_from: seq from which on the entries differ from a sample with otherwise equal arguments.
        usage: usage of the whole run.
        status: status of the run.
    """

    def __init__(
        self,
        *,
        turns: int,
        run_id: RunId | None = None,
        chain: str = "only chain",
        started_at: datetime | None = None,
        text: str = "the text",
        extra: Any = None,
        differs_from: int | None = None,
        usage: Usage | None = None,
        status: RunStatus = RunStatus.RUNNING,
    ) -> None:
        self.run_id = run_id or f"sample-{uuid.uuid4()}"
        self.chain = chain
        self.started_at = started_at or datetime.now(UTC)
        self.entries: list[Entry] = []
        self._text, self._usage, self._status = text, usage or Usage(), status
        self._differs_from = differs_from
        self._next_message = 0
        self._add("start", 0, agent=SPEC.model_dump(mode="json"), request={"input": text}, extra=extra)
        self._say(0, role="user", content=text)
        for turn in range(1, turns + 1):
            self._add_turn(turn)

    @property
    def head(self) -> TranscriptRef:
        """The newest entry."""
        return self.entries[-1].ref

    @property
    def messages(self) -> list[Message]:
        """All messages."""
        return self.messages_upto(len(self.entries))

    def messages_upto(self, end: int) -> list[Message]:
        """Returns the messages of the entries before entry `end`."""
        return [message for entry in self.entries[:end] if (message := entry.message)]

    def batch(self, first: int = 0, end: int | None = None) -> EntryBatch:
        """Returns the entries from `first` to before `end`, ready to append."""
        entries = self.entries[first:end]
        return EntryBatch(
            run_id=self.run_id,
            chain=self.chain,
            previous_digest=self.entries[first - 1].digest if first else "",
            entries=entries,
            summary=self._summary(entries[-1]),
        )

    def _summary(self, last: Entry) -> RunSummary:
        return RunSummary(
            run_id=self.run_id,
            agent=SPEC.name,
            active_agent=f"second {SPEC.name}",
            status=self._status,
            turn=last.turn,
            usage=self._usage,
            tool_calls=last.turn,
            input=self._text,
            parent=f"parent of {self._text}",
            started_at=self.started_at,
            finished_at=last.at if self._status.is_final else None,
        )

    def _add_turn(self, turn: int) -> None:
        call = ToolCall(id=f"call {turn} {self._text}", name=f"read {self._text}", arguments=self._text)
        self._say(turn, role="assistant", content=self._text, tool_calls=[call])
        answer: dict[str, Any] = {"tool": call.name, "error": turn % 2 == 0, "files": [], "seconds": 0.25}
        self._say(turn, "tool_result", role="tool", content=self._text, tool_call_id=call.id, **answer)
        self._add("status", turn, status=RunStatus.RUNNING.value, reason=self._text)

    def _say(
        self,
        turn: int,
        kind: EntryKind = "message",
        *,
        role: str,
        content: str,
        tool_calls: list[ToolCall] | None = None,
        tool_call_id: str | None = None,
        **data: Any,
    ) -> None:
        message = Message.model_validate(
            {
                "seq": self._next_message,
                "role": role,
                "content": content,
                "tool_calls": tool_calls or [],
                "tool_call_id": tool_call_id,
            }
        )
        self._next_message += 1
        self._add(kind, turn, message=message.model_dump(mode="json"), **data)

    def _add(self, kind: EntryKind, turn: int, **data: Any) -> None:
        seq = len(self.entries)
        if self._differs_from is not None and seq >= self._differs_from:
            data["differs"] = True
        previous = self.entries[-1].digest if self.entries else ""
        self.entries.append(Entry.chained(previous, seq=seq, at=self.started_at, kind=kind, turn=turn, data=data))
