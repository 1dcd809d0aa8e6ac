"""What stands in a history in place of a large payload."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Claim:
    """How to get a payload back; a few bytes, which stand in Temporal's history."""

    manifest: str
    """Name of the chunk that lists the others."""
    size: int
    """Bytes of the payload."""
    key: str | None
    """Name of the key that it is encrypted with; None: it is not."""
