"""Usage as providers report it. It is only accounted for, so a report that cannot be read costs no answer."""

from __future__ import annotations

import math
from typing import Any

from holdfast._util.logger import get_logger
from holdfast.types import Usage

log = get_logger(__name__)

MAX_TOKENS = 10**12
"""Tokens of one call, far beyond any context; a larger number is an error of the provider."""
MAX_COST = 10.0**6
"""US dollars of one call, likewise."""

_TOTALS = ("total_cost", "total", "total_usd", "usd")
"""Where providers that report the cost as an object put the sum."""


def parse_usage(usage: object) -> Usage:
    """Returns the usage of one call; numbers that are missing or impossible count as 0, with a warning.

    It is `unpriced` if the provider reports no cost.
    """
    if not isinstance(usage, dict):
        log.warning("the provider's usage cannot be read, and is not counted", usage=f"{usage!r:.200}")
        return Usage(requests=1, unpriced=1)
    details = usage.get("prompt_tokens_details")
    cost = _cost(usage.get("cost"))
    cached = details.get("cached_tokens") if isinstance(details, dict) else usage.get("prompt_cache_hit_tokens")
    return Usage(
        requests=1,
        input_tokens=_tokens("prompt_tokens", usage.get("prompt_tokens")),
        cached_tokens=_tokens("cached_tokens", cached),
        output_tokens=_tokens("completion_tokens", usage.get("completion_tokens")),
        cost_usd=cost or 0.0,
        unpriced=int(cost is None),
    )


def _tokens(name: str, value: object) -> int:
    return int(_number(name, value, MAX_TOKENS) or 0)


def _cost(value: object) -> float | None:
    if isinstance(value, dict):
        value = next((value[name] for name in _TOTALS if name in value), None)
    return _number("cost", value, MAX_COST)


def _number(name: str, value: Any, limit: float) -> float | None:
    """Returns a number that is possible; `None` if there is none."""
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not 0 <= number <= limit:  # also false for NaN
        log.warning(
            "a number in the provider's usage is impossible, and is not counted", name=name, value=f"{value!r:.80}"
        )
        return None
    return number
