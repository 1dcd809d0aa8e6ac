"""How the checks of stores say that a promise is broken."""

from __future__ import annotations

from collections.abc import Awaitable


def require(holds: bool, promise: str) -> None:
    """Checks that a promise holds.

    Raises:
        AssertionError: it does not.
    """
    if not holds:  # not an assert statement: those are gone under `python -O`
        raise AssertionError(f"broken promise: {promise}")


def same(found: object, expected: object, promise: str) -> None:
    """Checks that two things are equal; raises what `require` raises."""
    require(found == expected, f"{promise}\n  found:    {found!r:.500}\n  expected: {expected!r:.500}")


async def refused(call: Awaitable[object], error: type[Exception]) -> Exception:
    """Checks that a call raises this error, and gives it; raises what `require` raises."""
    try:
        answer = await call
    except error as refusal:
        return refusal
    raise AssertionError(f"broken promise: {error.__name__} is raised\n  found: {answer!r:.500}")
