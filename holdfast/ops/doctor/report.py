"""Reports on the mirrors of runs."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

from holdfast.errors import Unavailable, WorkerUnavailable
from holdfast.ports import RowDifference
from holdfast.storage.database.errors import StatementFailed
from holdfast.types import RunId


def concerns_one_run(error: Exception) -> bool:
    """Whether an error that a run caused says nothing about other runs: no service is unavailable."""
    return not isinstance(error, Unavailable) or isinstance(error, WorkerUnavailable | StatementFailed)


class Verdict(enum.StrEnum):
    """State of a run's mirror."""

    HEALTHY = "healthy"
    """It equals the history."""
    BEHIND = "behind"
    """It equals the history so far, but lacks the newest entries: the run is active, or a catch-up is running."""
    MIRROR_ONLY = "mirror_only"
    """Temporal no longer has the history; the rows of the mirror agree with each other."""
    DAMAGED = "damaged"
    """Rows are missing, altered or superfluous."""
    UNCHECKED = "unchecked"
    """The history could not be read."""


@dataclass(frozen=True, slots=True)
class Report:
    """Findings about the mirror of one run."""

    run_id: RunId
    verdict: Verdict
    entries: int = 0
    """Number of entries that were compared."""
    differences: tuple[RowDifference, ...] = ()
    note: str = ""
    """A remark for people."""
    lost_calls: tuple[str, ...] = ()
    """A line for each tool call whose outcome was reported as unknown."""
    lost_files: tuple[str, ...] = ()
    """A line for each state of the workspace that cannot be restored from the store."""

    @property
    def document(self) -> dict[str, Any]:
        """The report as JSON values."""
        differences = [
            {"table": difference.table, "seq": difference.seq, "key": list(difference.key), "what": difference.what}
            for difference in self.differences
        ]
        return {
            "run_id": self.run_id,
            "verdict": self.verdict.value,
            "entries": self.entries,
            "differences": differences,
            "note": self.note,
            "lost_calls": list(self.lost_calls),
            "lost_files": list(self.lost_files),
        }
