"""Definitions for runs that make one model call, without tools."""

from __future__ import annotations

from typing import Any

from holdfast.errors import UsageError
from holdfast.estimates import OUTPUT_SETTINGS
from holdfast.types import AgentSpec

LIMIT = "max_tokens"
"""The setting that limits an answer; its other name is used for servers that refuse this one."""


def single_call(spec: AgentSpec, max_length: int) -> AgentSpec:
    """Returns the definition of an agent for one model call, whose answer may end at its maximum length.

    Args:
        spec: the agent.
        max_length: most tokens of the answer.

    Raises:
        UsageError: the length is not a positive number.
    """
    if not isinstance(max_length, int) or isinstance(max_length, bool) or max_length < 1:
        raise UsageError(f"max_length={max_length!r:.80} must be a number of tokens, at least 1")
    settings = {name: value for name, value in spec.model_settings.items() if name not in OUTPUT_SETTINGS}
    changes: dict[str, Any] = {
        "model_settings": {**settings, LIMIT: max_length},
        "tools": [],
        "agents": [],
        "handoffs": [],
        "team": {},
        "mcp": [],
        "output": None,
        "max_turns": 1,
        "may_be_cut": True,
    }
    return spec.model_copy(update=changes)
