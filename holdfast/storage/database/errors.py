"""Errors of statements, and how to tell them apart."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.errors import StoreUnavailable

WRITE_CONFLICT = "holdfast: write conflict"
"""The text that our statements throw if another writer has changed the rows."""
CONFLICT = "can be retried"
"""The text that marks a transaction conflict in the database's errors; it has no code."""
AFTERMATH = (
    "The query was not executed due to a failed transaction",
    "The query was not executed due to a cancelled transaction",
    "Cannot COMMIT: the transaction was aborted due to a prior error",
)
"""Errors of the remaining statements of a failed transaction; they do not name the cause."""


class StatementFailed(StoreUnavailable):
    """The database rejected a statement."""


class WriteConflict(StatementFailed):
    """Another writer changed the rows in the meantime. Nothing was written; read again and retry."""


class RequestRejected(Exception):
    """The database rejected the request without running it: the client lacks access, or its session has ended."""


def statement_error(failures: Sequence[str]) -> StatementFailed:
    """Returns the error that caused the failures of a statement's parts."""
    cause = next((text for text in failures if text not in AFTERMATH), failures[-1])
    return (WriteConflict if WRITE_CONFLICT in cause or CONFLICT in cause else StatementFailed)(cause)
