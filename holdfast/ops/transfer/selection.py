"""Selection of runs by criteria."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from holdfast.types import RunStatus, RunSummary


@dataclass(frozen=True)
class Selection:
    """Criteria that a run must all meet; by default every run does.

    Attributes:
        since: the run started at this time or later.
        agents: names of agents; empty means any.
        statuses: statuses; empty means any.
    """

    since: datetime | None = None
    agents: frozenset[str] = frozenset()
    statuses: frozenset[RunStatus] = frozenset()

    def __bool__(self) -> bool:
        """Whether it has any criteria."""
        return bool(self.since or self.agents or self.statuses)

    def includes(self, run: RunSummary) -> bool:
        """Whether a run meets the criteria."""
        return (
            (self.since is None or run.started_at >= self.since)
            and (not self.agents or run.agent in self.agents)
            and (not self.statuses or run.status in self.statuses)
        )
