"""Tools by which an agent asks other agents; each call is a run of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from holdfast.definition import ask_tool_name, split_version
from holdfast.errors import AgentDefinitionError
from holdfast.names import ASK_AGENT, TOOL_PREFIX
from holdfast.types import AgentSpec, ToolSpec

PARAMETERS = {
    "type": "object",
    "properties": {
        "input": {
            "type": "string",
            "description": "Everything that the agent needs to know: it does not see this conversation.",
        }
    },
    "required": ["input"],
}


def name_of(agent: str | AgentSpec) -> str:
    """Returns the name by which an agent is asked: its reference, or the name in its definition."""
    return agent if isinstance(agent, str) else agent.name


def ask_tool(agent: str | AgentSpec, description: str = "") -> ToolSpec:
    """Returns the tool that asks an agent.

    Args:
        agent: the agent's name, with or without a version, or its definition.
        description: what the agent does; that of a definition counts if there is none.
    """
    name = name_of(agent)
    about = description or ("" if isinstance(agent, str) else agent.description)
    says = f"Ask the agent {split_version(name)[0]!r} and get its answer."
    return ToolSpec(
        name=ask_tool_name(name),
        description=f"{says} {about}".rstrip(),
        parameters=PARAMETERS,
        activity=f"{TOOL_PREFIX}{ask_tool_name(name)}",
        operation=ASK_AGENT,
        agent=name,
    )


def ask_tools(asker: str, agents: Sequence[str | AgentSpec]) -> list[ToolSpec]:
    """Returns one tool for each agent that an agent may ask.

    Raises:
        AgentDefinitionError: two of them would have the same tool.
    """
    tools: dict[str, ToolSpec] = {}
    for agent in agents:
        made = ask_tool(agent)
        other = tools.setdefault(made.name, made)
        if other is not made:
            raise AgentDefinitionError(
                f"agent {asker!r} cannot ask both {other.agent!r} and {made.agent!r}: both tools would be named "
                f"{made.name!r}; rename one of the agents"
            )
    return list(tools.values())


def is_ask_tool(tool: ToolSpec) -> bool:
    """Whether a tool asks another agent."""
    return tool.operation == ASK_AGENT


def without_ask_tools(tools: Iterable[ToolSpec]) -> list[ToolSpec]:
    """Returns the tools that do not ask another agent."""
    return [tool for tool in tools if not is_ask_tool(tool)]
