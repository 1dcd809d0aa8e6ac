"""Sizes that a provider names when a context is too large for its model. No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MIN_TOKENS = 256  # smaller numbers are versions, statuses and the like
MAX_TOKENS = 10**9

_NUMBER = re.compile(r"(?<![\w.-])\d{1,3}(?:,\d{3})+(?![\w-])|(?<![\w.-])\d+(?![\w-])")
_N = r"(\d[\d,]*)"
_LIMITS = (
    rf"(?:maximum|max\.?) (?:context|input|prompt|sequence) (?:length|size|window|tokens)\D{{0,24}}{_N}",
    rf"maximum number of (?:input )?tokens\D{{0,24}}{_N}",
    rf"{_N} (?:tokens? )?maximum",
    rf"context[ _](?:length|size|window)\D{{0,24}}{_N}",
    rf"\blimit\b\D{{0,24}}{_N}",
)
"""Where providers name the most tokens that they accept, the most reliable form first."""
_LIMIT_FIELDS = ("n_ctx", "max_context_length", "context_length", "context_window")
_SIZE_FIELDS = ("n_prompt_tokens", "prompt_tokens", "input_tokens")


def overflow_tokens(words: str, fields: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Returns the most tokens that a provider accepts and those of the request; `None` for what it does not name.

    Args:
        words: the provider's message.
        fields: its error object.
    """
    limit = _field(fields, _LIMIT_FIELDS) or _limit(words)
    size = _field(fields, _SIZE_FIELDS)
    if size is None and limit is not None:
        larger = [number for number in map(_tokens, _NUMBER.findall(words)) if number and number > limit]
        size = max(larger, default=None)
    return limit, size


def _limit(words: str) -> int | None:
    for pattern in _LIMITS:
        for match in re.finditer(pattern, words, re.IGNORECASE):
            if number := _tokens(match[1]):
                return number
    return None


def _field(fields: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    values = (fields.get(name) for name in names)
    return next((value for value in values if type(value) is int and MIN_TOKENS <= value <= MAX_TOKENS), None)


def _tokens(text: str) -> int | None:
    digits = text.replace(",", "")
    number = int(digits) if len(digits) < len(str(MAX_TOKENS)) else 0
    return number if number >= MIN_TOKENS else None
