"""Statuses of runs with their signs and colours."""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.types import RunStatus

STATUS_STYLES: Mapping[RunStatus, str] = {
    RunStatus.QUEUED: "dim",
    RunStatus.RUNNING: "cyan",
    RunStatus.WAITING: "yellow",
    RunStatus.PAUSED: "yellow",
    RunStatus.COMPLETED: "green",
    RunStatus.FAILED: "red",
    RunStatus.CANCELLED: "magenta",
    RunStatus.TERMINATED: "red",
    RunStatus.TIMED_OUT: "red",
}
_SIGNS = {RunStatus.COMPLETED: "✓", RunStatus.CANCELLED: "■"}


def status_words(status: RunStatus) -> str:
    """A status as text: `timed out`."""
    return status.value.replace("_", " ")


def status_mark(status: RunStatus) -> tuple[str, str]:
    """A status with its sign, and its style."""
    sign = _SIGNS.get(status, "✗" if status.is_final else "●")
    return f"{sign} {status_words(status)}", STATUS_STYLES[status]
