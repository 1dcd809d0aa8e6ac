"""The code that only the process of an agent has: its tools, its guards, the type of its answers, the function of its
system prompt, its client, what it wraps calls in, and those of the agents that it asks.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from holdfast.agents.agent import Agent
from holdfast.agents.mcp_tools import with_server_tools
from holdfast.agents.resolve import checked
from holdfast.agents.team import members
from holdfast.agents.tool import Tool
from holdfast.types import AgentSpec, ToolSpec


def current(tool: Tool) -> Tool:
    """Returns what a tool was redefined as: a cell of a notebook may define a function again, without its agent."""
    function = tool.function
    if function.__module__ != "__main__" or "." in function.__qualname__:
        return tool
    found: Any = vars(sys.modules["__main__"]).get(function.__name__)
    same = getattr(getattr(found, "spec", None), "name", None) == tool.spec.name
    return found if same and isinstance(found, type(tool)) else tool


def spec_of(agent: Agent) -> AgentSpec:
    """Returns the definition of an agent whose code this process serves, and likewise of those that it can reach."""
    spec = _served(agent, agent.spec())
    if spec.team:
        found = members(agent)
        team = {name: _served(member, spec.team[name]) for name, member in _own(found) if member is not agent}
        spec = spec.model_copy(update={"team": spec.team | team})
    return spec


def _served(agent: Agent, spec: AgentSpec) -> AgentSpec:
    """Returns the definition of an agent with the task queue of this process, and of those that it asks."""
    changes: dict[str, Any] = {}
    if has_code(agent):
        queue, own = agent.code_queue, {tool.spec.name for tool in agent.tools if _is_served_here(agent, tool)}
        changes["tools"] = [_served_by(queue, tool) if tool.name in own else tool for tool in spec.tools]
        changes["code_queue"] = queue
    if spec.agents:
        changes["agents"] = [spec_of(each) if not isinstance(each, str | AgentSpec) else each for each in agent.agents]
    return spec.model_copy(update=changes) if changes else spec


async def full_spec_of(agent: Agent) -> AgentSpec:
    """Returns the same, with the tools that the MCP servers list now.

    Raises:
        AgentDefinitionError: a server has no such tool as is named.
        MCPServerUnavailable: a server cannot be started or reached.
    """
    return await _with_servers(agent, spec_of(agent))


async def _with_servers(agent: Agent, spec: AgentSpec) -> AgentSpec:
    known = {server.name: server for server in agent.mcp}
    spec = await with_server_tools(spec, known.get, queue=spec.code_queue)
    changes: dict[str, Any] = {}
    if spec.agents:
        pairs = zip(agent.agents, spec.agents, strict=True)
        changes["agents"] = [await _asked_with_servers(own, each) for own, each in pairs]
    if spec.team:
        own = [(name, member) for name, member in _own(members(agent)) if member is not agent]
        changes["team"] = spec.team | {name: await _with_servers(member, spec.team[name]) for name, member in own}
    return checked(spec.model_copy(update=changes) if changes else spec)


async def _asked_with_servers(agent: Agent | AgentSpec | str, spec: AgentSpec | str) -> AgentSpec | str:
    if isinstance(agent, AgentSpec | str) or isinstance(spec, str):
        return spec
    return await _with_servers(agent, spec)


def has_code(agent: Agent) -> bool:
    """Whether a run of an agent needs code that only the process has which defines the agent."""
    output = agent.typed_output
    return (
        any(map(_is_own, agent.tools))
        or bool(agent.mcp)
        or any(agent.guards.values())
        or (output is not None and output.spec.code)
        or agent.prompt is not None
        or agent.model_client is not None
        or bool(agent.model_wrappers or agent.tool_wrappers)
    )


def with_reached(agent: Agent) -> list[Agent]:
    """Returns an agent and all that it may ask or hand off to, which this process has too, each once."""
    found: dict[int, Agent] = {}
    left = [agent]
    while left:
        each = left.pop()
        if id(each) not in found:
            found[id(each)] = each
            left += [other for other in each.agents if not isinstance(other, str | AgentSpec)]
            left += [member for _, member in _own(members(each))]
    return list(found.values())


def _own(found: Mapping[str, Agent | AgentSpec]) -> Iterator[tuple[str, Agent]]:
    return ((name, member) for name, member in found.items() if not isinstance(member, AgentSpec))


def _is_own(tool: Tool) -> bool:
    """Whether a tool is neither shipped nor served elsewhere."""
    return not tool.is_shipped and _is_activity_here(tool)


def _is_served_here(agent: Agent, tool: Tool) -> bool:
    """Whether the process of an agent serves a tool: its own, and all others too whose calls the agent wraps."""
    return _is_own(tool) or (bool(agent.tool_wrappers) and _is_activity_here(tool))


def _is_activity_here(tool: Tool) -> bool:
    """Whether an activity calls a tool, in a task queue that it does not name."""
    return tool.spec.task_queue is None and tool.spec.operation is None


def _served_by(queue: str, tool: ToolSpec) -> ToolSpec:
    return tool.model_copy(update={"task_queue": queue})
