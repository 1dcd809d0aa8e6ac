"""The agents that a worker serves."""

from __future__ import annotations

import importlib
import pkgutil
import sys
import sysconfig
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import holdfast.agents.shipped
import holdfast.tools
from holdfast._util.raised import raised
from holdfast.agents.agent import Agent
from holdfast.agents.asking import is_about_agent
from holdfast.agents.importing import importing
from holdfast.agents.mcp_server import MCPServer, server_of
from holdfast.agents.mcp_tools import mcp_tool
from holdfast.agents.served_tools import served_tool, served_tools
from holdfast.agents.tool import Tool
from holdfast.errors import AgentDefinitionError, BrokenAgentModule, UnknownAgent
from holdfast.types import AgentSpec

PACKAGE = Path(holdfast.tools.__file__).parents[1]


class AgentCatalog:
    """Agents by name; iteration yields them in the order of their names."""

    def __init__(
        self,
        agents: Iterable[Agent] = (),
        *,
        tools: Iterable[Tool] = (),
        servers: Iterable[MCPServer] = (),
        shipped: bool = False,
    ) -> None:
        """Creates a catalog of these agents only.

        Args:
            agents: the agents.
            tools: further tools to serve, for agents that are not defined in code.
            servers: MCP servers, for agents that are not defined in code.
            shipped: whether the tools that come with Holdfast are served, as by each worker.

        Raises:
            AgentDefinitionError: two agents have the same name.
        """
        self._agents: dict[str, Agent] = {}
        self._origins: dict[str, str] = {}
        self._tools = [(tool.function.__module__, tool) for tool in tools]
        self._servers: dict[str, MCPServer] = {}
        for server in servers:
            self._add_server(server)
        self._shipped_tools = {tool.spec.activity: tool for tool in _tools_in(holdfast.tools)} if shipped else {}
        for agent in agents:
            self._add(agent, type(agent).__module__)

    @classmethod
    def load(cls, modules: Iterable[str] = ()) -> AgentCatalog:
        """Collects the shipped agents and those of each named module.

        From a module, it collects every Agent instance at the top level; every Agent subclass that the module defines,
        instantiated without arguments, unless the module has an instance of that class; and every tool and MCP server
        at the top level, for registered agents that name it. Names that begin with an underscore are ignored.

        Args:
            modules: dotted names, as HOLDFAST_AGENTS lists them. They may be in the current working directory, which
                is added to `sys.path`.

        Raises:
            AgentDefinitionError: a module cannot be imported or defines neither an agent nor a tool, an agent cannot be
                built, two agents or two MCP servers have the same name, or two tools of a module do.
        """
        catalog = cls(shipped=True)
        for module in _shipped_modules():
            for agent in _agents_in(module):
                catalog._add(agent, module.__name__)
        for name in dict.fromkeys(modules):
            agents, tools, servers = _content_of(name)
            catalog._tools += [(name, tool) for tool in tools]
            for server in servers:
                catalog._add_server(server)
            for agent in agents:
                catalog._add(agent, name)
        catalog.tools()
        return catalog

    def get(self, name: str) -> Agent:
        """Returns the agent of this name.

        Raises:
            UnknownAgent: no agent has this name; the message lists the known ones.
        """
        try:
            return self._agents[name]
        except KeyError:
            raise UnknownAgent.named(name, self.names()) from None

    def find(self, name: str) -> Agent | None:
        """Returns the agent of this name; `None` if there is none."""
        return self._agents.get(name)

    def names(self) -> tuple[str, ...]:
        """Returns the names of all agents, sorted."""
        return tuple(sorted(self._agents))

    def tools(self) -> dict[str, Tool]:
        """Returns all tools by activity type: those of the agents, those of their modules, and the shipped ones.

        A tool that several agents use is listed once. A tool of yours replaces a shipped one that no agent uses. Tools
        of the same name have the types `tool.<agent>.<name>`, or `tool.<module>.<name>` outside of agents.

        Raises:
            AgentDefinitionError: two tools of one module have the same name.
        """
        of_agents = [(agent.name, tool) for agent in self for tool in agent.tools]
        return served_tools([*of_agents, *self._tools], self._shipped_tools)

    def spec(self, agent: Agent) -> AgentSpec:
        """Returns an agent of this catalog in the form that a run carries, with the types that serve its tools."""
        served, spec = self.tools(), agent.spec()
        asking = [tool for tool in spec.tools if is_about_agent(tool)]
        tools = [*(served_tool(agent, tool, served).spec for tool in agent.tools), *asking]
        changes: dict[str, Any] = {"tools": tools}
        if spec.agents:  # those of this catalog run as it defines them when they are asked
            changes["agents"] = [
                other.name if isinstance(other, AgentSpec) and other.name in self else other for other in spec.agents
            ]
        if spec.team:
            changes["team"] = {name: other for name, other in spec.team.items() if name not in self}
        return agent.with_approvals(spec.model_copy(update=changes))

    def tool_of(self, agent: str, name: str) -> Tool | None:
        """Returns the tool that an agent defined in code, or the server of an agent, knows by this name.

        Args:
            agent: name of the agent.
            name: of the tool; `None` is returned if there is none.
        """
        tools = self._agents[agent].tools if agent in self._agents else ()
        found = next((tool for tool in tools if tool.spec.name == name), None)
        return found or self.server_tool(agent, name)

    def server(self, agent: str, name: str) -> MCPServer | None:
        """Returns the MCP server that an agent knows by this name; `None` if there is none."""
        known = self.find(agent)
        own = next((server for server in known.mcp if server.name == name), None) if known else None
        return own or self._servers.get(name)

    def has_servers(self) -> bool:
        """Whether an agent may have tools of MCP servers."""
        return bool(self._servers) or any(agent.mcp for agent in map(self.find, self.names()) if agent)

    def server_tool(self, agent: str, name: str) -> Tool | None:
        """Returns the tool of an MCP server that an agent knows by this name; `None` if it has no such server."""
        server = self.server(agent, server_of(name))
        return mcp_tool(server, name) if server else None

    def __iter__(self) -> Iterator[Agent]:
        return (self._agents[name] for name in self.names())

    def __len__(self) -> int:
        return len(self._agents)

    def __contains__(self, name: object) -> bool:
        return name in self._agents

    def __repr__(self) -> str:
        return f"<AgentCatalog: {', '.join(self.names()) or 'empty'}>"

    def _add_server(self, server: MCPServer) -> None:
        other = self._servers.setdefault(server.name, server)
        if other is not server:
            raise AgentDefinitionError(
                f"two MCP servers are named {server.name!r}: {other!r} and {server!r}; rename one"
            )

    def _add(self, agent: Agent, origin: str) -> None:
        if self._agents.get(agent.name) is agent:
            return
        if agent.name in self._agents:
            first = self._origins[agent.name]
            places = f"both in {origin}" if first == origin else f"one in {first}, one in {origin}"
            raise AgentDefinitionError(f"two agents are named {agent.name!r}: {places}; rename one of them")
        if agent.memory_path and (owner := self._on_path(agent.memory_path)):
            raise AgentDefinitionError(
                f"the agents {owner!r} and {agent.name!r} have the same memory_path, {agent.memory_path!r}: each needs "
                "a folder of its own"
            )
        self._agents[agent.name], self._origins[agent.name] = agent, origin
        for other in (*agent.agents, *agent.handoffs):
            if isinstance(other, Agent):
                self._add(other, origin)

    def _on_path(self, path: str) -> str | None:
        """Returns the name of the agent with a memory path; `None` if there is none."""
        return next((name for name, agent in self._agents.items() if agent.memory_path == path), None)


def _shipped_modules() -> Iterator[ModuleType]:
    for module in pkgutil.iter_modules(holdfast.agents.shipped.__path__):
        yield importlib.import_module(f"{holdfast.agents.shipped.__name__}.{module.name}")


def _content_of(module: str) -> tuple[list[Agent], list[Tool], list[MCPServer]]:
    _make_working_directory_importable()
    try:
        with importing(module):
            imported = importlib.import_module(module)
        agents, tools, servers = _agents_in(imported), _tools_in(imported), _servers_in(imported)
    except (Exception, SystemExit) as error:  # a module of the user may raise anything when it is imported
        place = _place_in_project(error)
        told = raised(error)
        kind, reason = (BrokenAgentModule, f"{place}: {told}") if place else (AgentDefinitionError, told)
        if meant := None if place else _module_of(module):
            reason = f"name the module, {meant!r}, not its file"
        raise kind(f"HOLDFAST_AGENTS names {module!r}, which cannot be used: {reason}") from error
    if not agents and not tools and not servers:
        raise AgentDefinitionError(f"HOLDFAST_AGENTS names {module!r}, which defines neither an agent nor a tool")
    return agents, tools, servers


def _module_of(path: str) -> str | None:
    """Returns the module that a path of a file was meant to name; `None` if it is not a path."""
    if "/" not in path and not path.endswith(".py"):
        return None
    return ".".join(part for part in Path(path).with_suffix("").parts if part not in ("/", ".."))


def _place_in_project(error: BaseException) -> str | None:
    """Returns the file and line in the user's code that caused an error; `None` if there is none."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if _is_project_file(frame.filename)]
    return f"{ours[-1].filename}:{ours[-1].lineno}" if ours else None


def _is_project_file(filename: str) -> bool:
    installed = (*map(sysconfig.get_path, ("stdlib", "platstdlib", "purelib", "platlib")), str(PACKAGE))
    return not filename.startswith("<") and not any(Path(filename).is_relative_to(place) for place in installed)


def _make_working_directory_importable() -> None:
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)


def _agents_in(module: ModuleType) -> list[Agent]:
    public = [value for name, value in vars(module).items() if not name.startswith("_")]
    instances = [value for value in public if isinstance(value, Agent)]
    instantiated = {type(instance) for instance in instances}
    classes = dict.fromkeys(value for value in public if _is_agent_class_of(module, value))
    return [*instances, *(_build(cls) for cls in classes if cls not in instantiated)]


def _tools_in(module: ModuleType) -> list[Tool]:
    public = (value for name, value in vars(module).items() if not name.startswith("_"))
    return list({id(tool): tool for tool in public if isinstance(tool, Tool)}.values())


def _servers_in(module: ModuleType) -> list[MCPServer]:
    public = (value for name, value in vars(module).items() if not name.startswith("_"))
    return list({id(server): server for server in public if isinstance(server, MCPServer)}.values())


def _is_agent_class_of(module: ModuleType, value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Agent) and value.__module__ == module.__name__


def _build(cls: type[Agent]) -> Agent:
    try:
        return cls()
    except AgentDefinitionError:
        raise
    except Exception as error:  # a constructor of the user may raise anything
        raise AgentDefinitionError(
            f"{cls.__qualname__}() failed: {raised(error)}; "
            "give its arguments defaults, or define an instance of it in the module"
        ) from error
