"""The wire format between a gateway and its clients: CBOR, as in requests to the database."""

from __future__ import annotations

from typing import Any

from holdfast.errors import HoldfastError, StoreUnavailable, UsageError
from holdfast.storage.database import cbor
from holdfast.storage.database.errors import StatementFailed, WriteConflict

MAX_FRAME = 64 * 2**20  # bytes per call or answer; a page of the largest entries is smaller
ORIGINS = [None]
"""Rejects web pages, even with a valid token: browsers send an origin, our clients do not."""

OK, FAILED, LEAVING, CHANGED = "ok", "failed", "leaving", "changed"
"""Kinds of messages from the gateway. `leaving`: the call was not executed, because the owner is closing the database.
`changed`: a table that the client listens to may have changed."""

ERRORS: dict[str, type[HoldfastError]] = {
    kind.__name__: kind for kind in (WriteConflict, StatementFailed, StoreUnavailable, UsageError)
}
"""Errors that keep their type; others are sent as their nearest base class in this table."""


def encode(value: Any) -> bytes:
    """Encodes a value as a frame.

    Raises:
        UsageError: the database does not support the type of a value, or the frame is too large.
    """
    try:
        frame = cbor.encode(value)
    except (BufferError, ValueError, TypeError, RecursionError) as error:
        raise UsageError(f"a value cannot be sent to the database: {error}") from error
    if len(frame) > MAX_FRAME:
        raise UsageError(
            f"a statement or its answer has {len(frame):,} bytes, at most {MAX_FRAME:,} are accepted: "
            "use smaller batches or pages"
        )
    return frame


def decode(frame: bytes) -> Any:
    """Decodes a frame; tuples come back as lists."""
    return cbor.decode(frame)


def error_parts(error: Exception) -> list[str]:
    """Returns type and message of an error, for the wire."""
    for kind in type(error).__mro__:
        if kind.__name__ in ERRORS:
            return [kind.__name__, str(error)]
    return [StoreUnavailable.__name__, f"{type(error).__name__}: {error}"]


def error_from(kind: str, message: str) -> HoldfastError:
    """Returns the error that `error_parts` described."""
    return ERRORS.get(kind, StoreUnavailable)(message)
