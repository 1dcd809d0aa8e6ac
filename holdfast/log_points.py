"""Points in the logs of runs."""

from __future__ import annotations

from holdfast.data import Tolerant


class TranscriptRef(Tolerant):
    """A point in a run's log: everything up to and including this entry."""

    seq: int
    """Number of the entry."""
    digest: str
    """Digest of the entry, which covers all earlier ones."""


class ForkedFrom(Tolerant):
    """The point of another run that a run began with."""

    run: str
    seq: int
    """The last entry of the origin that both have; the fork may have edited it or earlier ones."""
    digest: str
    """Digest of that entry in the origin's log."""
    turn: int = 0
    """Number of turns up to that entry, which do not count against the fork's limit."""
