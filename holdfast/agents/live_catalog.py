"""One agent of a program that serves its own code, as it was last defined."""

from __future__ import annotations

from typing_extensions import override

from holdfast.agents.agent import Agent
from holdfast.agents.catalog import AgentCatalog
from holdfast.agents.code_place import newest
from holdfast.agents.own_code import current
from holdfast.agents.tool import Tool
from holdfast.errors import UnknownAgent


class LiveCatalog(AgentCatalog):
    """A catalog of one agent, which is looked up at each call: a cell of a notebook may define it again.

    Args:
        agent: the agent; a later one of the same name and file takes its place.
    """

    def __init__(self, agent: Agent) -> None:
        super().__init__()
        self._agent = agent

    @override
    def get(self, name: str) -> Agent:
        agent = newest(self._agent)
        if name != agent.name:
            raise UnknownAgent.named(name, self.names())
        return agent

    @override
    def find(self, name: str) -> Agent | None:
        return newest(self._agent) if name == self._agent.name else None

    @override
    def __contains__(self, name: object) -> bool:
        return name == self._agent.name

    @override
    def names(self) -> tuple[str, ...]:
        return (self._agent.name,)

    @override
    def tools(self) -> dict[str, Tool]:
        return {}  # each is found by its name when it is called

    @override
    def tool_of(self, agent: str, name: str) -> Tool | None:
        if agent != self._agent.name:
            return None
        found = next((tool for tool in newest(self._agent).tools if tool.spec.name == name), None)
        return current(found) if found else self.server_tool(agent, name)
