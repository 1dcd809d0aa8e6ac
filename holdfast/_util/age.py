"""Durations as people write them."""

from __future__ import annotations

import re
from datetime import timedelta

AGE = re.compile(r"(\d{1,9}) ?(s|m|h|d|w)")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
ACCEPTED_AGES = "an age such as 90s, 30m, 12h, 2d, 3w"


def age(text: str) -> timedelta | None:
    """Returns the duration that `90s`, `30m`, `12h`, `2d` or `3w` means; `None` for any other text."""
    matched = AGE.fullmatch(text.strip())
    if matched is None:
        return None
    try:
        return timedelta(**{UNITS[matched[2]]: int(matched[1])})
    except OverflowError:
        return timedelta.max
