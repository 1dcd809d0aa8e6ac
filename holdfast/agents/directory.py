"""Lookup of the agent that a run requests, first in code, then in the registry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from holdfast.agents.agent import Agent
from holdfast.agents.asking import is_about_agent, tools_for, without_agents
from holdfast.agents.catalog import AgentCatalog
from holdfast.agents.conversion import definition_of
from holdfast.agents.mcp_server import is_server_tool
from holdfast.agents.mcp_tools import with_server_tools
from holdfast.agents.resolve import checked, resolve
from holdfast.agents.tool import Tool
from holdfast.approval import strictest
from holdfast.definition import AgentDefinition, split_version
from holdfast.errors import StoreUnavailable, UnknownAgent
from holdfast.names import TOOL_PREFIX
from holdfast.ports.registry import RegistryProtocol, VersionedRegistry
from holdfast.types import AgentSpec, ToolSpec


class AgentDirectory:
    """The agents that a worker can run.

    Args:
        catalog: the agents that are defined in code, and all tools.
        registry: the registered agents.
    """

    def __init__(self, catalog: AgentCatalog, registry: RegistryProtocol) -> None:
        self._catalog = catalog
        self._registry = registry

    async def find(self, agent: str | AgentSpec | AgentDefinition, timeout: float | None = None) -> AgentSpec:
        """Returns an agent in the form that a run carries.

        Args:
            agent: a name; a name and a version (`NAME@3`), which only the registry has; or a definition.
            timeout: maximum seconds for the lists of its MCP servers; `None` means those of the servers.

        Raises:
            UnknownAgent: no agent has this name; the message lists the known ones.
            ToolNotServed: the agent names tools that this worker does not serve.
            AgentDefinitionError: a run cannot carry the agent; see `checked`.
            MCPServerUnavailable: an MCP server of the agent is unknown here, or cannot be started or reached.
            StoreUnavailable: the registry is unavailable, and the agent is not defined in code.
        """
        spec = self._spec(await self._named(agent) if isinstance(agent, str) else agent)
        team = await self._team(spec)
        about = {name: member.description for name, member in team.items()} | {spec.name: spec.description}
        members = {name: await self._described(member, about, timeout) for name, member in team.items()}
        found = await self._described(spec, about, timeout)
        return checked(found.model_copy(update={"team": members}) if members or found.team else found)

    def calls(self, agent: str, tool: ToolSpec) -> bool:
        """Whether a tool is one of an MCP server that this process knows."""
        return is_server_tool(tool) and self._catalog.server_tool(agent, tool.name) is not None

    async def _team(self, spec: AgentSpec) -> dict[str, AgentSpec]:
        """Returns the agents that handoffs reach from an agent, without itself, by the names that handoffs give them.

        Raises:
            UnknownAgent: there is no such agent.
        """
        team: dict[str, AgentSpec] = {}
        itself = {spec.name, f"{spec.name}@{spec.version}"}
        given, left = dict(spec.team), list(spec.handoffs)
        while left:
            name = left.pop(0)
            if name in team or name in itself:
                continue
            member = self._spec(given[name] if name in given else await self._named(name))
            given = member.team | given
            team[name] = member.model_copy(update={"team": {}}) if member.team else member
            left += member.handoffs
        return team

    async def _described(self, spec: AgentSpec, about: Mapping[str, str], timeout: float | None) -> AgentSpec:
        """Returns an agent with the tools of its MCP servers, whose tools for other agents are described as those are.

        Args:
            spec: the agent.
            about: descriptions of those of its team.
            timeout: maximum seconds for the lists of its servers.

        Raises:
            UnknownAgent: there is no such agent.
            MCPServerUnavailable: see `find`.
        """
        spec = await with_server_tools(spec, lambda name: self._catalog.server(spec.name, name), timeout=timeout)
        if not spec.agents and not spec.handoffs:
            return spec
        described = {name: about[name] for name in spec.handoffs if name in about}
        described |= {name: await self._description(name) for name in spec.agents if isinstance(name, str)}
        known = {tool.name: tool for tool in spec.tools if is_about_agent(tool)}
        tools = without_agents(spec.tools)
        for made in tools_for(spec.name, spec.agents, spec.handoffs, described):
            tool = known.get(made.name, made)
            if made.agent in described:
                tool = tool.model_copy(update={"description": made.description})
            tools.append(tool)
        return spec.model_copy(update={"tools": tools})

    async def _description(self, reference: str) -> str:
        return str(getattr(await self._named(reference), "description", ""))

    async def _named(self, reference: str) -> Any:
        if reference in self._catalog:
            return self._catalog.get(reference)
        name, number = split_version(reference)
        found = await (self._registry.get_agent(name) if number is None else self._numbered(name, number))
        if found is None:
            raise UnknownAgent.named(reference, self._catalog.names(), await self._registered())
        return found

    async def _numbered(self, name: str, number: int) -> AgentDefinition | None:
        if not isinstance(self._registry, VersionedRegistry):
            return None
        found = await self._registry.version(name, number)
        return found.definition if found else None

    def _spec(self, agent: Any) -> AgentSpec:
        served = self._catalog.tools()
        if isinstance(agent, AgentSpec):
            return _with_served_types(agent, served)
        if isinstance(agent, Agent):
            return self._catalog.spec(agent) if agent.name in self._catalog else agent.spec()
        return resolve(definition_of(agent), served)

    async def _registered(self) -> list[str]:
        try:
            return await self._registry.list_agents()
        except StoreUnavailable:
            return []


def _with_served_types(spec: AgentSpec, served: Mapping[str, Tool]) -> AgentSpec:
    """Returns a definition of a client, which does not know that another agent has a tool of the same name."""
    tools = []
    for tool in spec.tools:
        own = f"{TOOL_PREFIX}{spec.name}.{tool.name}"
        moved = tool.activity not in served and own in served and tool.task_queue is None
        tools.append(_as_strict(tool.model_copy(update={"activity": own}) if moved else tool, served))
    return spec.model_copy(update={"tools": tools})


def _as_strict(tool: ToolSpec, served: Mapping[str, Tool]) -> ToolSpec:
    """Returns the specification of a client, which must not need approval less often than the tool that is served."""
    if tool.task_queue is not None or tool.activity not in served:
        return tool
    approval = strictest(tool.approval, served[tool.activity].spec.approval)
    return tool if approval == tool.approval else tool.model_copy(update={"approval": approval})
