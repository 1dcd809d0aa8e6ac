"""The wait of a run: its subject and its duration."""

from __future__ import annotations

from datetime import UTC, datetime

from holdfast.call_progress import ToolProgress
from holdfast.cli.render.text import cut, one_line
from holdfast.events import Event, Notice, TextDelta
from holdfast.progress import Wait
from holdfast.types import Entry

SHOWN_AFTER = 2.0  # seconds; a model that answers sooner needs no explanation
MAX_TOOLS = 60  # characters of the names of tools and of what they report
MAX_WAIT = 50  # characters of what a run waits for


class Waiting:
    """Follows the events of a run, and describes what it has been waiting for since the last one."""

    def __init__(self) -> None:
        self._turn = 1
        self._calls: dict[str, str] = {}  # names of the tools that are running, by call
        self._since: datetime | None = None  # None: the run has ended, or nothing is known
        self._waits: list[Wait] = []  # for something other than a worker, a model or a tool

    def hear(self, event: Event) -> None:
        """Takes note of one event."""
        self._waits = event.waits_for if isinstance(event, Notice) else []
        if isinstance(event, TextDelta):
            self._turn, self._since = event.turn, datetime.now(UTC)
        elif isinstance(event, ToolProgress):
            if event.call in self._calls:
                self._calls[event.call] = f"{event.tool} ({event})"
        elif not isinstance(event, Notice):
            self._hear_entry(event)

    def _hear_entry(self, entry: Entry) -> None:
        self._since = None if entry.kind == "finish" else entry.at
        if (message := entry.message) is None:
            return
        self._turn = max(entry.turn, 1)
        if message.role == "assistant":
            self._calls = {call.id: call.name for call in message.tool_calls}
            self._since = entry.at if self._calls else None
        elif message.role == "tool":
            self._calls.pop(message.tool_call_id or "", None)
            self._turn += not self._calls

    def line(self, now: datetime) -> str | None:
        """Returns the turn, what the run is waiting for and the seconds; `None` if there is nothing to explain."""
        if self._waits:
            oldest = self._waits[0]
            more = f" and {len(self._waits) - 1} more" if len(self._waits) > 1 else ""
            lasted = _length(max(0, int((now - oldest.since).total_seconds())))
            return f"waiting for {cut(one_line(oldest.what), MAX_WAIT)}{more}, {lasted}"
        if self._since is None or (seconds := (now - self._since).total_seconds()) < SHOWN_AFTER:
            return None
        tools = ", ".join(dict.fromkeys(one_line(name) for name in self._calls.values()))
        what = f"running {cut(tools, MAX_TOOLS)}" if tools else "waiting for the model"
        return f"turn {self._turn}: {what}, {_length(int(seconds))}"


def _length(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{minutes} min {rest} s" if minutes else f"{seconds} s"
