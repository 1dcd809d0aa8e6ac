"""Finds the tools that a definition names."""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.agents.tool import Tool
from holdfast.definition import AgentDefinition
from holdfast.errors import AgentDefinitionError
from holdfast.names import TOOL_PREFIX
from holdfast.types import AgentSpec


def resolve(definition: AgentDefinition, served: Mapping[str, Tool]) -> AgentSpec:
    """The definition as a run carries it, with its tools as they are served.

    Args:
        definition: names the tools.
        served: tools by activity type, as `AgentCatalog.tools` gives them.

    Raises:
        AgentDefinitionError: a tool is not there, or the model could not tell two tools apart.
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
    """Makes sure that every tool is known.

    Raises:
        AgentDefinitionError: one is not; the message lists those that are.
    """
    unknown = [name for name in definition.tools if f"{TOOL_PREFIX}{name}" not in served]
    if unknown:
        known = ", ".join(sorted(activity.removeprefix(TOOL_PREFIX) for activity in served)) or "none"
        raise AgentDefinitionError(
            f"agent {definition.name!r} names tools that are not served here: "
            f"{', '.join(map(repr, unknown))}; known: {known}"
        )
