"""Figures: measured values with their limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Self


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A measured value, one row of the table."""

    name: str
    """Dotted name for programs, such as `overhead.0ms.ratio`."""
    title: str
    """Name for people."""
    value: float
    unit: str = ""
    limit: float | None = None
    """Maximum value; `None` means that the figure is informative only."""
    samples: tuple[float, ...] = ()
    """The samples whose median is `value`."""

    @classmethod
    def of_samples(cls, samples: Sequence[float], **fields: str | float | None) -> Self:
        """Returns a figure with the median of samples; `fields` are the other fields of the class."""
        return cls(value=median(samples), samples=tuple(samples), **fields)  # type: ignore[arg-type]

    @property
    def is_met(self) -> bool | None:
        """Whether the value is within its limit; `None` if it has no limit."""
        return None if self.limit is None else self.value <= self.limit
