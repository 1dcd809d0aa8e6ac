"""Statuses of runs, and how a program executes them."""

from __future__ import annotations

import enum


class RunStatus(enum.StrEnum):
    """Status of a run."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TERMINATED = "terminated"
    TIMED_OUT = "timed_out"

    @property
    def is_final(self) -> bool:
        """Whether the run has ended."""
        return self in FINAL_STATUSES


FINAL_STATUSES = frozenset(
    {RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.TERMINATED, RunStatus.TIMED_OUT}
)


class TaskExecutionMode(enum.StrEnum):
    """What a program that starts a run gets."""

    BLOCKING = "blocking"
    """The result, when the run has ended."""
    STREAMING = "streaming"
    """What happens, while it does."""
    BACKGROUND = "background"
    """The handle of the run, at once."""
