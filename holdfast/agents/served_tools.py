"""Activity types of the tools that a worker serves; tools of the same name live side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from holdfast.agents.tool import Tool
from holdfast.errors import AgentDefinitionError
from holdfast.names import TOOL_PREFIX

if TYPE_CHECKING:
    from holdfast.agents.agent import Agent


def qualified(tool: Tool, owner: str) -> Tool:
    """Returns the tool under the type `tool.<owner>.<name>`."""
    activity = f"{TOOL_PREFIX}{owner}.{tool.spec.name}"
    return tool if tool.spec.activity == activity else tool.served_as(activity)


def served_tools(claims: Iterable[tuple[str, Tool]], shipped: Mapping[str, Tool]) -> dict[str, Tool]:
    """Returns tools by activity type.

    If several functions claim a type, it belongs to the shipped one, and each other is `tool.<owner>.<name>`.

    Args:
        claims: tools with their owner, the name of an agent or of a module.
        shipped: the tools of the package by activity type.

    Raises:
        AgentDefinitionError: two tools of one owner have the same name.
    """
    by_type: dict[str, list[tuple[str, Tool]]] = {}
    for owner, tool in claims:
        by_type.setdefault(tool.spec.activity, []).append((owner, tool))
    tools: dict[str, Tool] = {}
    for activity, claimants in by_type.items():
        first = claimants[0][1]
        if all(tool.function == first.function for _, tool in claimants):
            tools[activity] = first
            continue
        own = shipped.get(activity)
        for owner, tool in claimants:
            _add(tools, tool if own and own.function == tool.function else qualified(tool, owner))
    return dict(shipped) | tools


def served_tool(agent: Agent, tool: Tool, served: Mapping[str, Tool]) -> Tool:
    """Returns a tool of an agent under the type that serves it."""
    known = served.get(tool.spec.activity)
    return tool if known and known.function == tool.function else qualified(tool, agent.name)


def _add(tools: dict[str, Tool], tool: Tool) -> None:
    other = tools.setdefault(tool.spec.activity, tool)
    if other.function != tool.function:
        raise AgentDefinitionError(
            f"two functions have the activity type {tool.spec.activity!r}: "
            f"{other.place} and {tool.place}; rename one of them with @tool(name=...)"
        )
