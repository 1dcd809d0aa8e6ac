"""Requests for child runs: what each is asked, and with which options."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from holdfast.types import AgentSpec, ToolCall


@dataclass(frozen=True)
class ChildOrder:
    """What a child run is asked."""

    call: str
    """Who asks: the id of the tool call, or of a call that the tool itself makes."""
    place: str
    """The end of its id, in the turn."""
    agent: str | AgentSpec
    text: str
    shares: int = 1
    """For how many children the budget is divided that start now."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of its request."""


def name_of(agent: str | AgentSpec) -> str:
    """Returns the name by which an agent is asked: its reference, or the name in its definition."""
    return agent if isinstance(agent, str) else agent.name


def question_of(call: ToolCall) -> str | None:
    """Returns the question of a call; `None` if there is none."""
    try:
        arguments = json.loads(call.arguments)
    except (ValueError, RecursionError):
        return None
    text = arguments.get("input") if isinstance(arguments, dict) else None
    return text if isinstance(text, str) and text.strip() else None
