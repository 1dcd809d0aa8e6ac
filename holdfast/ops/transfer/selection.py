"""Which runs are meant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from holdfast.types import RunStatus, RunSummary


@dataclass(frozen=True)
class Selection:
    """Runs that have all of these; by default all runs.

    Attributes:
        since: started then or later.
        agents: of one of these agents; empty: of any.
        statuses: in one of these; empty: in any.
    """

    since: datetime | None = None
    agents: frozenset[str] = frozenset()
    statuses: frozenset[RunStatus] = frozenset()

    def __bool__(self) -> bool:
        """Whether it leaves anything out."""
        return bool(self.since or self.agents or self.statuses)

    def takes(self, run: RunSummary) -> bool:
        """Whether a run is meant."""
        return (
            (self.since is None or run.started_at >= self.since)
            and (not self.agents or run.agent in self.agents)
            and (not self.statuses or run.status in self.statuses)
        )
