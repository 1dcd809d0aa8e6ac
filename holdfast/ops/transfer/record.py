"""A whole run, for formats that people and training programs read."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.transcripts import Transcript
from holdfast.types import RunSummary


@dataclass(frozen=True)
class RunRecord(Transcript):
    """A run with its log.

    Attributes:
        summary: the run's summary.
    """

    summary: RunSummary
