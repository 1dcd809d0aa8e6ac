"""A claim, which replaces a large payload in a history."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Claim:
    """A reference to a stored payload; a few bytes in Temporal's history."""

    manifest: str
    """Name of the chunk that lists the others."""
    size: int
    """Bytes of the payload."""
    key: str | None
    """Name of the encryption key; `None` if the payload is not encrypted."""
