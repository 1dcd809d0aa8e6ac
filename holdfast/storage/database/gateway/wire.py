"""What travels between a gateway and its clients: CBOR, as the database's own client writes it."""

from __future__ import annotations

from typing import Any

from surrealdb.data import cbor

from holdfast.errors import HoldfastError, StoreUnavailable, UsageError
from holdfast.storage.database.errors import StatementFailed, WriteConflict

MAX_FRAME = 64 * 2**20  # bytes of one statement or answer; a page of the largest entries stays below
ORIGINS = [None]
"""No web page may connect, whatever it knows: browsers say where a page is from, our clients do not."""

OK, FAILED, LEAVING, CHANGED = "ok", "failed", "moved", "changed"
"""An answer's kinds; `moved`: the statement was not carried out, this process is about to let go of the database;
`changed`: so may a table have that is listened to."""

ERRORS: dict[str, type[HoldfastError]] = {
    kind.__name__: kind for kind in (WriteConflict, StatementFailed, StoreUnavailable, UsageError)
}
"""Errors that keep their type on the way; others travel as the nearest of their bases that is here."""


def encode(value: Any) -> bytes:
    """A frame.

    Raises:
        UsageError: a value is of a kind that the database does not know, or the frame is too large.
    """
    try:
        frame = cbor.encode(value)
    except (BufferError, ValueError, TypeError, RecursionError) as error:
        raise UsageError(f"a value cannot be given to the database: {error}") from error
    if len(frame) > MAX_FRAME:
        raise UsageError(f"{len(frame):,} bytes in one statement or its answer; at most {MAX_FRAME:,} are taken")
    return frame


def decode(frame: bytes) -> Any:
    """What `encode` was given; tuples come back as lists."""
    return cbor.decode(frame)


def error_parts(error: Exception) -> list[str]:
    """An error as type and message."""
    for kind in type(error).__mro__:
        if kind.__name__ in ERRORS:
            return [kind.__name__, str(error)]
    return [StoreUnavailable.__name__, f"{type(error).__name__}: {error}"]


def error_from(kind: str, message: str) -> HoldfastError:
    """The error that `error_parts` took apart."""
    return ERRORS.get(kind, StoreUnavailable)(message)
