"""Resolution of the tools that a definition names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from holdfast.agents.approvals import tightened
from holdfast.agents.asking import tools_for
from holdfast.agents.mcp_server import server_of
from holdfast.agents.output import check_schema
from holdfast.agents.tool import Tool
from holdfast.answers import OutputSpec
from holdfast.approval import ALL, Approval
from holdfast.definition import MAX_DEFINITION_BYTES, AgentDefinition
from holdfast.errors import AgentDefinitionError, ToolNotServed
from holdfast.names import TOOL_PREFIX
from holdfast.server_tools import ServerTools
from holdfast.types import AgentSpec, ToolSpec


def resolve(definition: AgentDefinition, served: Mapping[str, Tool]) -> AgentSpec:
    """Returns a definition in the form that a run carries, with the specifications of its tools.

    Args:
        definition: the definition, which names its tools.
        served: tools by activity type, as `AgentCatalog.tools` returns them.

    Raises:
        ToolNotServed: a tool is not served.
        AgentDefinitionError: see `checked`.
    """
    _check_served(definition, served)
    approvals = definition.approvals
    tools = [_required(served[f"{TOOL_PREFIX}{name}"].spec, approvals.get(name, "never")) for name in definition.tools]
    tools += [
        _required(tool, approvals.get(tool.name, "never"))
        for tool in tools_for(definition.name, definition.agents, definition.handoffs)
    ]
    extra: dict[str, Any] = {
        "description": definition.description,
        "agents": definition.agents,
        "handoffs": definition.handoffs,
        "mcp": [_servers_tools(definition, server) for server in definition.mcp],
        "context_window": definition.context_window,
        "output": _output(definition),
    }
    return checked(
        AgentSpec(
            name=definition.name,
            system_prompt=definition.system_prompt,
            model=definition.model,
            model_settings=definition.model_settings,
            tools=tightened(tools, definition.approvals.keys() & {ALL}, f"agent {definition.name!r}"),
            max_turns=definition.max_turns,
            timeout=definition.timeout,
            **({"budget": definition.budget} if definition.budget else {}),
            version=definition.version,
            **{name: value for name, value in extra.items() if value},
        )
    )


def _servers_tools(definition: AgentDefinition, server: str) -> ServerTools:
    named = [name for name in definition.approvals if name == ALL or server_of(name) == server]
    return ServerTools(server=server, approve=named)


def _output(definition: AgentDefinition) -> OutputSpec | None:
    if definition.output_schema is None:
        return None
    check_schema(definition.name, definition.output_schema)
    return OutputSpec(json_schema=definition.output_schema, retries=definition.output_retries)


def checked(spec: AgentSpec) -> AgentSpec:
    """Returns an agent that a run can carry.

    Raises:
        AgentDefinitionError: two tools have the same name for the model, or the definition is too large with the
            specifications of its tools, as it is part of several payloads.
    """
    for agent in (spec, *spec.team.values()):
        names = [tool.name for tool in agent.tools]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise AgentDefinitionError(
                f"agent {agent.name!r} has several tools that the model knows as {', '.join(map(repr, twice))}"
            )
    size = len(spec.__pydantic_serializer__.to_json(spec, exclude_unset=True))
    if size > MAX_DEFINITION_BYTES:
        raise AgentDefinitionError(
            f"the definition of agent {spec.name!r} has {size:,} bytes with its tools{_with_team(spec)}; the maximum "
            f"is {MAX_DEFINITION_BYTES:,}: move long parts of the prompt to files of the workspace"
        )
    return spec


def _with_team(spec: AgentSpec) -> str:
    return f" and the {len(spec.team)} agents that handoffs can reach" if spec.team else ""


def _required(tool: ToolSpec, approval: Approval) -> ToolSpec:
    return tool.model_copy(update={"approval": approval}) if approval == "always" else tool


def _check_served(definition: AgentDefinition, served: Mapping[str, Tool]) -> None:
    """Checks that every tool of a definition is served.

    Raises:
        ToolNotServed: a tool is not served; the message lists the served ones.
    """
    unknown = [name for name in definition.tools if f"{TOOL_PREFIX}{name}" not in served]
    if unknown:
        known = ", ".join(sorted(activity.removeprefix(TOOL_PREFIX) for activity in served)) or "none"
        raise ToolNotServed(
            f"agent {definition.name!r} names tools that this worker does not serve: "
            f"{', '.join(map(repr, unknown))}; known: {known}"
        )
