"""A figure: what was measured, and what it should be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Self


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One line of the table."""

    name: str
    """Dotted, for programs: `overhead.0ms.ratio`."""
    title: str
    """For people."""
    value: float
    unit: str = ""
    limit: float | None = None
    """The value must not be above this; None: it is only for information."""
    samples: tuple[float, ...] = ()
    """What `value` is the median of."""

    @classmethod
    def of_samples(cls, samples: Sequence[float], **fields: str | float | None) -> Self:
        """The median of some samples; `fields` are the others of the class."""
        return cls(value=median(samples), samples=tuple(samples), **fields)  # type: ignore[arg-type]

    @property
    def is_met(self) -> bool | None:
        """Whether the value is within its limit; None where there is none."""
        return None if self.limit is None else self.value <= self.limit
