"""The two tiers of the suite: the default one, and a slow one at full size."""

from __future__ import annotations

import os
from typing import Any, TypeVar

import pytest

T = TypeVar("T")

SLOW = "HOLDFAST_TEST_SLOW"
"""The environment variable of the slow tier; `--slow` sets it, for all processes of the session."""

FULL_SIZE_TIMEOUT = 900.0  # seconds for a test in full size: some of them start dozens of processes


def is_slow() -> bool:
    """Returns whether this session runs the slow tier too."""
    return SLOW in os.environ


def scaled(normal: T, full: T) -> T:
    """Returns the size of a test's work: `full` in the slow tier."""
    return full if is_slow() else normal


def patience(seconds: float) -> float:
    """Returns how long a test waits for what must come, in seconds: the slow tier starts many processes, and shares
    its machine with other work.
    """
    return scaled(seconds, 5 * seconds)


def slow(*values: Any) -> list[Any]:
    """Returns parameters of the slow tier alone, such as engines that differ from a tested one in little."""
    return [pytest.param(value, marks=pytest.mark.slow) for value in values]
