"""What can be wrong with the mirror of a run, row by row."""

from __future__ import annotations

from dataclasses import dataclass

MISSING = "missing"
EXTRA = "not in the log"


@dataclass(frozen=True, slots=True)
class Flaw:
    """A row that is not as the run's log has it."""

    table: str
    seq: int | None
    """Of an entry; in table `message` of a message; None: the row is the run's own, or an edge."""
    what: str
    """`missing`, `not in the log`, or `altered: ` and the names of the fields."""
    key: tuple[int | str, ...] = ()
    """What follows the run id in the row's id, where it is more than the seq: turn and call id of a tool call."""

    def __str__(self) -> str:
        place = self.table if self.seq is None else f"{self.table} {self.seq}"
        return f"{place}{self._detail()}: {self.what}"

    def _detail(self) -> str:
        return f" (turn {self.key[0]}, call {self.key[1]!r})" if self.table == "tool_call" and self.key else ""
