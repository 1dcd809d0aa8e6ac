"""Errors of a user's code as people and models read them."""

from __future__ import annotations

MAX_CHARS = 20_000
"""Of an error's text: it is a part of the run, of each later request to the model, and of failures in Temporal."""


def raised(error: BaseException) -> str:
    """Returns the type and the text of an error, shortened; an error whose text cannot be made is told by its type."""
    kind = type(error).__name__
    try:
        text = f"{kind}: {error}"
    except Exception as fault:  # noqa: BLE001 - `__str__` is the user's code as well
        return f"{kind} (its text cannot be shown: {type(fault).__name__})"
    if len(text) <= MAX_CHARS:
        return text
    return f"{text[:MAX_CHARS]}… ({len(text) - MAX_CHARS:,} more characters)"
