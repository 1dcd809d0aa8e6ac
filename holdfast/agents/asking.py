"""Tools by which an agent asks other agents, each in a run of its own, or hands its run to one of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from holdfast.definition import ask_tool_name, split_version, transfer_tool_name
from holdfast.errors import AgentDefinitionError
from holdfast.names import ASK_AGENT, HAND_OFF, TOOL_PREFIX
from holdfast.types import AgentSpec, ToolSpec

QUESTION = {
    "type": "object",
    "properties": {
        "input": {
            "type": "string",
            "description": "Everything that the agent needs to know: it does not see this conversation.",
        }
    },
    "required": ["input"],
}
REASON = {
    "type": "object",
    "properties": {"reason": {"type": "string", "description": "Why, in a sentence; the other agent reads it."}},
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
        parameters=QUESTION,
        activity=f"{TOOL_PREFIX}{ask_tool_name(name)}",
        operation=ASK_AGENT,
        agent=name,
    )


def transfer_tool(agent: str, description: str = "") -> ToolSpec:
    """Returns the tool that hands the run to an agent.

    Args:
        agent: its name, with or without a version.
        description: what the agent does.
    """
    says = f"Transfer the conversation to the agent {split_version(agent)[0]!r}, which continues it in your place."
    return ToolSpec(
        name=transfer_tool_name(agent),
        description=f"{says} {description}".rstrip(),
        parameters=REASON,
        activity=f"{TOOL_PREFIX}{transfer_tool_name(agent)}",
        operation=HAND_OFF,
        agent=agent,
    )


def tools_for(
    owner: str, agents: Sequence[str | AgentSpec], handoffs: Sequence[str], described: dict[str, str] | None = None
) -> list[ToolSpec]:
    """Returns one tool for each agent that an agent may ask, and for each to which it may hand off.

    Args:
        owner: the agent, for messages.
        agents: those that it may ask.
        handoffs: those to which it may hand off.
        described: what agents do, by the names in `agents` and `handoffs`.

    Raises:
        AgentDefinitionError: two of them would have the same tool.
    """
    about, tools = described or {}, dict[str, ToolSpec]()
    made = [ask_tool(agent, about.get(name_of(agent), "")) for agent in agents]
    for tool in [*made, *(transfer_tool(agent, about.get(agent, "")) for agent in handoffs)]:
        other = tools.setdefault(tool.name, tool)
        if other is not tool:
            verb = "ask" if tool.operation == ASK_AGENT else "hand off to"
            raise AgentDefinitionError(
                f"agent {owner!r} cannot {verb} both {other.agent!r} and {tool.agent!r}: both tools would be named "
                f"{tool.name!r}; rename one of the agents"
            )
    return list(tools.values())


def is_about_agent(tool: ToolSpec) -> bool:
    """Whether a tool asks another agent, or hands the run to it."""
    return tool.operation in (ASK_AGENT, HAND_OFF)


def without_agents(tools: Iterable[ToolSpec]) -> list[ToolSpec]:
    """Returns the tools that are not about another agent."""
    return [tool for tool in tools if not is_about_agent(tool)]
