"""Assertions of the conformance suites; they also work under `python -O`."""

from __future__ import annotations

from collections.abc import Awaitable


def require(holds: bool, guarantee: str) -> None:
    """Checks a guarantee.

    Raises:
        AssertionError: it does not hold.
    """
    if not holds:  # not an assert statement, which `python -O` removes
        raise AssertionError(f"guarantee violated: {guarantee}")


def same(found: object, expected: object, guarantee: str) -> None:
    """Checks that two values are equal; raises what `require` raises."""
    require(found == expected, f"{guarantee}\n  found:    {found!r:.500}\n  expected: {expected!r:.500}")


async def refused(call: Awaitable[object], error: type[Exception]) -> Exception:
    """Checks that a call raises this error, and returns the error; raises what `require` raises."""
    try:
        answer = await call
    except error as raised:
        return raised
    raise AssertionError(f"guarantee violated: {error.__name__} is raised\n  found: {answer!r:.500}")
