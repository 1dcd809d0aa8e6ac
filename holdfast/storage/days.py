"""Dates of rows that are pruned by age: the day on which a row was last stored, give or take a week."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

FRESH = timedelta(days=7)
"""Age below which a row's date is not renewed: the embedded engine never frees the space of rewritten rows."""
SLACK = timedelta(days=2)  # for dates being whole days, and for clocks that differ


def today() -> datetime:
    """Returns the date of a row that is stored now."""
    return _midnight(datetime.now(UTC))


def oldest_fresh() -> datetime:
    """Returns the oldest date that need not be renewed."""
    return today() - FRESH


def prunable_before(moment: datetime) -> datetime:
    """Returns the date before which a row was certainly not stored at or after an aware time."""
    return _midnight(moment.astimezone(UTC)) - FRESH - SLACK


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)
