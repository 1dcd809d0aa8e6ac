"""Moments in time as people write them."""

from __future__ import annotations

from datetime import UTC, datetime

from holdfast._util.age import ACCEPTED_AGES, age
from holdfast.errors import UsageError

ACCEPTED = f"{ACCEPTED_AGES}, or a date such as 2026-11-01 or 2026-11-01T09:30"


def moment(text: str | None) -> datetime | None:
    """The moment that `2d` (two days ago) or `2026-11-01` (local time, unless it names a zone) means.

    Raises:
        UsageError: it is neither, or is in the future.
    """
    if text is None:
        return None
    found = _before(text) or _date(text)
    if found is None:
        raise UsageError(f"{text!r} is not a point in time; write {ACCEPTED}")
    if found > datetime.now(UTC):
        raise UsageError(f"{text!r} is in the future")
    return found


def _before(text: str) -> datetime | None:
    passed = age(text)
    if passed is None:
        return None
    try:
        return datetime.now(UTC) - passed
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)


def _date(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text.strip()).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
