"""The waits of a run: the part of its state that begins, ends and records them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime
from typing import Any

from holdfast.decisions import CarriedDecisions
from holdfast.progress import Wait
from holdfast.types import Entry, EntryKind, ToolCall
from holdfast.workflows.run.entry_data import plain

NEXT_MESSAGE = "message"
"""Id of the wait of a session for its next message."""
OUTCOME = "/outcome"
"""End of the id of what a lost call waits for, see `LostCalls`."""
APPROVAL = "/approval"
"""End of the id of the approval of a call that the run itself performs, which may then wait for something else."""

QUESTION = "/question"
"""Begins the end of the id of what a server asks in a call, before its number, see `Elicitations`."""


def withdrawn(begun: Entry) -> dict[str, Any]:
    """Returns the data of the entry that withdraws a wait, given the entry with which it began."""
    wait = begun.data["wait"]
    return {"id": wait["id"], "outcome": "withdrawn", "kind": wait["kind"], "began": begun.seq}


class Waiting(ABC):
    """Waits by id; each is an entry at its beginning, and another one at its end."""

    turns: int

    def __init__(self) -> None:
        self.paused = False
        self.interrupted = False
        """Whether the current turn was stopped by a command, and has not ended yet."""
        self.is_stopping = False
        """Whether the run is being stopped for good."""
        self.open_waits: dict[str, Wait] = {}
        """What the run waits for, by id, oldest first."""
        self.waits_changed = False
        """Whether waits of calls have begun or ended that neither Temporal's UI nor the mirror shows yet."""
        self.decisions = CarriedDecisions()
        """What people have decided, see `Decisions`."""

    def begin_wait(self, now: datetime, wait: Wait) -> None:
        """Begins a wait and records it; one that an earlier execution has begun continues."""
        if wait.id not in self.open_waits:
            entry = self._record("wait", now, {"wait": plain(wait)})
            self.open_waits[wait.id] = wait.model_copy(update={"began": entry.seq})

    def end_wait(self, now: datetime, wait_id: str, outcome: str, **facts: Any) -> None:
        """Ends a wait and, if an entry records it, how."""
        wait = self.open_waits.pop(wait_id)
        if wait.began is not None:
            ended = {"id": wait_id, "outcome": outcome, "kind": wait.kind, "began": wait.began}
            self._record("wait_ended", now, {**ended, **facts})

    def withdraw_waits(self, now: datetime, *, keeps_pause: bool = False) -> None:
        """Ends everything that the run waits for, as it will not be acted on.

        Args:
            now: workflow time.
            keeps_pause: whether a paused run still waits to be resumed.
        """
        for wait in list(self.open_waits.values()):
            if not (keeps_pause and wait.kind == "resume"):
                self.end_wait(now, wait.id, "withdrawn")

    def wait_id(self, call: ToolCall) -> str:
        """Returns the id of what a call of this turn waits for; a provider may use the id of a call again."""
        return f"{self.turns}/{call.id}"

    def is_waiting(self, call: ToolCall) -> bool:
        """Whether a call of this turn waits for a person, a time, a message or an event."""
        wait_id = self.wait_id(call)
        if any(f"{wait_id}{end}" in self.open_waits for end in ("", APPROVAL, OUTCOME)):
            return True
        return any(each.startswith(f"{wait_id}{QUESTION}") for each in self.open_waits)

    @property
    def keeps_waits(self) -> bool:
        """Whether calls that were not begun wait on although the current step was stopped: the run is only paused."""
        return self.paused and not self.interrupted and not self.is_stopping

    @abstractmethod
    def _record(self, kind: EntryKind, now: datetime, data: dict[str, Any]) -> Entry: ...
