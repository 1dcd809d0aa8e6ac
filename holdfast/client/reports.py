"""Reports of tools on their progress, as the observer of a run receives them."""

from __future__ import annotations

from collections import deque

from holdfast.call_progress import ToolProgress
from holdfast.types import Entry


class Reports:
    """Passes each report of a call on once, after the message that asked for the call and before its result.

    Args:
        arrived: reports that the event bus has delivered, in order.
    """

    def __init__(self, arrived: deque[ToolProgress]) -> None:
        self._arrived = arrived
        self._seen: dict[tuple[int, str], tuple[int, int]] = {}
        """The place of the newest report of each call."""
        self._turn = 0
        self._ended: set[str] = set()
        """The calls of the newest turn that have a result."""

    def take(self, number: int, turn: int) -> list[ToolProgress]:
        """Returns what has arrived: the first reports, whose entries were read since, and those up to a turn.

        Args:
            number: how many had arrived before the entries were read.
            turn: the newest turn whose message was passed on.
        """
        found = []
        while self._arrived and (number > 0 or self._arrived[0].turn <= turn):
            number -= 1
            found += self.new(self._arrived.popleft())
        return found

    def new(self, report: ToolProgress) -> list[ToolProgress]:
        """Returns a report, unless a later one of its call, or the result, was passed on before."""
        call = (report.turn, report.call)
        is_over = report.turn < self._turn or (report.turn == self._turn and report.call in self._ended)
        if is_over or report.place <= self._seen.get(call, (0, -1)):
            return []
        self._seen[call] = report.place
        return [report]

    def end(self, entry: Entry) -> list[ToolProgress]:
        """Returns what has arrived of a call whose result follows; of any other entry, nothing."""
        if entry.turn != self._turn:
            self._turn, self._ended = entry.turn, set()
            self._seen = {call: place for call, place in self._seen.items() if call[0] >= entry.turn}
        if entry.kind != "tool_result" or (message := entry.message) is None or message.tool_call_id is None:
            return []
        waiting = [
            report for report in self._arrived if (report.turn, report.call) == (entry.turn, message.tool_call_id)
        ]
        found = [new for report in waiting for new in self.new(report)]
        self._ended.add(message.tool_call_id)
        return found
