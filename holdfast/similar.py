"""Suggestions for misspelled names."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def most_similar(name: str, known: Iterable[str], least: float = 0.6) -> str | None:
    """Returns the known name that is most like another one, whatever their case; `None` if none is like it.

    Args:
        name: what was written.
        known: the names that exist; of those that differ in case alone, the last one counts.
        least: how similar it must be, from 0 to 1.
    """
    by_lower = {each.lower(): each for each in known}
    found = get_close_matches(name.lower(), by_lower, n=1, cutoff=least)
    return by_lower[found[0]] if found else None
