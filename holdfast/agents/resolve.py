"""Resolution of the tools that a definition names."""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.agents.tool import Tool
from holdfast.definition import AgentDefinition
from holdfast.errors import AgentDefinitionError, ToolNotServed
from holdfast.names import TOOL_PREFIX
from holdfast.types import AgentSpec


def resolve(definition: AgentDefinition, served: Mapping[str, Tool]) -> AgentSpec:
    """Returns a definition in the form that a run carries, with the specifications of its tools.

    Args:
        definition: the definition, which names its tools.
        served: tools by activity type, as `AgentCatalog.tools` returns them.

    Raises:
        ToolNotServed: a tool is not served.
        AgentDefinitionError: two tools have the same name for the model.
    """
    check_tools(definition, served)
    specs = [served[f"{TOOL_PREFIX}{name}"].spec for name in definition.tools]
    names = [spec.name for spec in specs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise AgentDefinitionError(
            f"agent {definition.name!r} has several tools that the model knows as {', '.join(map(repr, twice))}"
        )
    return AgentSpec(
        name=definition.name,
        system_prompt=definition.system_prompt,
        model=definition.model,
        model_settings=definition.model_settings,
        tools=specs,
        max_turns=definition.max_turns,
        timeout=definition.timeout,
        version=definition.version,
    )


def check_tools(definition: AgentDefinition, served: Mapping[str, Tool]) -> None:
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
