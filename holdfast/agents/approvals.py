"""Approvals that a tool's condition, an agent or a run requires."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Sequence
from typing import Any

from holdfast.agents.arguments import Arguments
from holdfast.approval import ALL
from holdfast.errors import AgentDefinitionError, UsageError
from holdfast.types import AgentSpec, ToolSpec

CONDITION_TIMEOUT = 5.0  # seconds for a condition; it looks at arguments and should take milliseconds


def checked_condition(tool: str, condition: Any, arguments: Arguments) -> Callable[..., Any]:
    """Returns a function that passes to a condition those arguments of the tool that it names.

    Args:
        tool: name of the tool, for messages.
        condition: returns False for a call that needs no approval; may be async.
        arguments: the arguments of the tool.

    Raises:
        AgentDefinitionError: it is not a function, or names an argument that the tool does not have.
    """
    where = f"tool {tool!r}: approval={condition!r:.80}"
    accepted = '"never", "always" and functions of arguments of the tool'
    return choosing(where, condition, (*arguments.names, *arguments.injected), accepted)


def choosing(where: str, function: Any, known: Collection[str], accepted: str) -> Callable[..., Any]:
    """Returns a function that passes to a user's function those arguments that it names.

    Args:
        where: where the function was given, for messages.
        function: the user's function.
        known: the arguments that there are.
        accepted: what is accepted instead of something that is not a function, for messages.

    Raises:
        AgentDefinitionError: it is not a function, or names another argument.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        raise AgentDefinitionError(f"{where} is not accepted; {accepted} are") from None
    if any(parameter.kind is parameter.POSITIONAL_ONLY for parameter in parameters):
        raise AgentDefinitionError(f"{where}: its parameters must not be positional-only; they are passed by name")
    takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    named = [each.name for each in parameters if each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL)]
    if unknown := [name for name in named if name not in known]:
        raise AgentDefinitionError(
            f"{where} has a parameter {unknown[0]!r}, which the tool does not have; "
            f"its parameters are: {', '.join(known) or 'none'}"
        )

    def call(**given: Any) -> Any:
        return function(**(given if takes_all else {name: given[name] for name in named if name in given}))

    return call


def tightened_team(spec: AgentSpec, required: Collection[str], whose: str) -> AgentSpec:
    """Returns an agent and those of its team, some of whose tools need a person's approval for every call.

    Args:
        spec: the agent.
        required: see `tightened`; a name counts for each agent that has such a tool.
        whose: see `tightened`.

    Raises:
        UsageError: a name is not that of a tool of any of them.
    """
    every = {tool.name: tool for agent in (spec, *spec.team.values()) for tool in agent.tools}
    tightened(list(every.values()), required, whose)

    def changed(agent: AgentSpec) -> AgentSpec:
        known = {ALL, *(tool.name for tool in agent.tools)}
        own = [name for name in required if name in known]
        return agent.model_copy(update={"tools": tightened(agent.tools, own, whose)})

    found = changed(spec)
    team = {name: changed(member) for name, member in spec.team.items()}
    return found.model_copy(update={"team": team}) if team else found


def tightened(tools: Sequence[ToolSpec], required: Collection[str], whose: str) -> list[ToolSpec]:
    """Returns the tools, some of which need a person's approval for every call.

    Args:
        tools: the tools of an agent.
        required: names of tools that need it; `all` stands for every tool that a worker performs.
        whose: who requires it, for messages, as `agent 'clerk'`.

    Raises:
        UsageError: a name is not that of a tool.
    """
    names = [tool.name for tool in tools]
    if unknown := sorted({*required} - {*names, ALL}):
        raise UsageError(
            f"{whose} requires approval for {', '.join(map(repr, unknown))}, which the agent does not have; "
            f"its tools are: {', '.join(names) or 'none'}"
        )

    def needs(tool: ToolSpec) -> bool:
        return tool.name in required or (ALL in required and tool.operation is None)

    return [tool.model_copy(update={"approval": "always"}) if needs(tool) else tool for tool in tools]
