"""Failures of activities that the run expects, and deals with."""

from __future__ import annotations

from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from holdfast.errors import ErrorType, HoldfastError

EXPECTED = ApplicationErrorCategory.BENIGN
"""Of failures that are logged on one line, or that the run tells; the SDK would add a traceback for each attempt."""


def not_served(lacks: str) -> ApplicationError:
    """Returns the failure of a call that needs code which this worker does not have.

    The server does not repeat it: the run itself does, and says what it waits for.

    Args:
        lacks: what the worker does not have, as `the guard 'polite' of agent 'clerk'`.
    """
    return ApplicationError(
        f"this worker does not have {lacks}", type=ErrorType.NOT_SERVED, non_retryable=True, category=EXPECTED
    )


def unknown_activity(kind: str) -> ApplicationError:
    """Returns the failure of a call of an activity that this worker does not have; Temporal repeats it elsewhere."""
    return ApplicationError(f"this worker does not serve {kind!r}", type=ErrorType.NOT_SERVED, category=EXPECTED)


def store_unavailable(error: HoldfastError) -> ApplicationError:
    """Returns the failure of an activity that cannot read or write now; Temporal retries it."""
    return ApplicationError(str(error), type=ErrorType.STORE_UNAVAILABLE, category=EXPECTED)
