"""The ways in which a database says no."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.errors import StoreUnavailable

WRITE_CONFLICT = "holdfast: write conflict"
"""What our own statements throw when another writer was faster."""
CONFLICT = "can be retried"
"""The words by which the database marks a transaction that lost against another; there is no code for it."""
AFTERMATH = (
    "The query was not executed due to a failed transaction",
    "The query was not executed due to a cancelled transaction",
    "Cannot COMMIT: the transaction was aborted due to a prior error",
)
"""What the other statements of a failed transaction say: true of them, but not the cause."""


class StatementFailed(StoreUnavailable):
    """The database answered, and the answer was no."""


class WriteConflict(StatementFailed):
    """Another writer changed the rows in between: nothing was written, and planning anew will help."""


class RequestRejected(Exception):
    """The database did not look at the statement: the client may not ask, or its session has ended."""


def statement_error(failures: Sequence[str]) -> StatementFailed:
    """What the failures of a statement's parts come to."""
    cause = next((text for text in failures if text not in AFTERMATH), failures[-1])
    return (WriteConflict if WRITE_CONFLICT in cause or CONFLICT in cause else StatementFailed)(cause)
