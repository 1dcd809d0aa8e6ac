"""What the doctor says of a run."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

from holdfast.ports import Flaw
from holdfast.types import RunId


class Verdict(enum.StrEnum):
    """How the mirror of a run is."""

    HEALTHY = "healthy"
    """As the history has it, to the end."""
    BEHIND = "behind"
    """As the history has it, but not to the end yet: the run goes on, or its mirror is being completed."""
    MIRROR_ONLY = "mirror_only"
    """Temporal has no history of it any more; what the mirror has agrees with itself."""
    SICK = "sick"
    """Something is missing, altered or too much."""
    UNCHECKED = "unchecked"
    """The history could not be read."""


@dataclass(frozen=True, slots=True)
class Report:
    """The doctor's findings about one run."""

    run_id: RunId
    verdict: Verdict
    entries: int = 0
    """How many entries were looked at."""
    flaws: tuple[Flaw, ...] = ()
    note: str = ""
    """What a person should know besides."""

    @property
    def document(self) -> dict[str, Any]:
        """As plain values."""
        flaws = [
            {"table": flaw.table, "seq": flaw.seq, "key": list(flaw.key), "what": flaw.what} for flaw in self.flaws
        ]
        return {
            "run_id": self.run_id,
            "verdict": self.verdict.value,
            "entries": self.entries,
            "flaws": flaws,
            "note": self.note,
        }
