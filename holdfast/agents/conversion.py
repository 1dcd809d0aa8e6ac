"""Conversion of agents in any accepted form to definitions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from holdfast.agents.agent import Agent
from holdfast.agents.asking import is_about_agent, without_agents
from holdfast.agents.asking import name_of as asked_name
from holdfast.agents.foreign_prompt import foreign_prompt
from holdfast.agents.foreign_servers import foreign_server
from holdfast.agents.foreign_settings import model_settings
from holdfast.agents.mcp_server import is_server_tool
from holdfast.agents.output import check_schema
from holdfast.agents.tool import Tool
from holdfast.definition import AgentDefinition, check_name
from holdfast.errors import AgentDefinitionError, NotAnAgent
from holdfast.names import TOOL_PREFIX
from holdfast.rejection import place_of, reason_of
from holdfast.types import AgentSpec

UNSUPPORTED = ("handoffs", "mcp_servers", "input_guardrails", "output_guardrails", "output_type", "hooks", "prompt")
"""Fields of agents of other libraries that a definition cannot express; they are rejected rather than lost."""

CODE = (
    "input_guards",
    "output_guards",
    "system_prompt_function",
    "client",
    "model_wrappers",
    "tool_wrappers",
)
CHAT_MODEL = "OpenAIChatCompletionsModel"
"""A class of openai-agents: a model with a client."""
PROMPTS = ("system_prompt", "instructions")
SERVERS_ADVICE = "; for MCP, define the servers in a module of HOLDFAST_AGENTS, and name them in `mcp`"
PLAIN_FIELDS = ("description", "max_turns", "timeout", "budget")


def name_of(agent: object) -> str:
    """Returns the name of an object that is to be registered.

    Raises:
        NotAnAgent: it has no name, or one that is not text (also a TypeError).
        AgentDefinitionError: the name is not accepted (a ValueError).
    """
    if not hasattr(agent, "name"):
        raise NotAnAgent(f"{_shown(agent)} is not an agent: it has no attribute `name`")
    return check_name(agent.name)


def origin_of(agent: object) -> str | None:
    """Returns the qualified name of an agent's class; `None` if it has no class of its own."""
    cls = agent if isinstance(agent, type) else type(agent)
    if cls in (Agent, AgentDefinition, AgentSpec):
        return None
    return f"{cls.__module__}.{cls.__qualname__}"


def definition_of(agent: object, *, without_code: bool = False) -> AgentDefinition:
    """Returns the definition of an agent.

    An agent is an AgentDefinition, an AgentSpec, an instance or a subclass of Agent, or any object with a `name` whose
    `system_prompt` (or `instructions`), `model`, `model_settings` and `tools` are data, such as one of openai-agents.

    Args:
        agent: the agent.
        without_code: leave out its functions, as its guards and its validator of answers, for people who look at it;
            otherwise they are refused.

    Raises:
        NotAnAgent: it has no name.
        AgentDefinitionError: it has something that a definition cannot express; the message says what.
    """
    name = name_of(agent)
    definition = agent if isinstance(agent, AgentDefinition) else _converted(name, agent, without_code=without_code)
    definition.check_size()
    if definition.output_schema is not None:
        check_schema(name, definition.output_schema)
    return definition


def handed_to(agent: object) -> list[object]:
    """Returns the agents to which an agent of another library may hand off.

    Raises:
        AgentDefinitionError: a handoff does more than that; the message says what.
    """
    name, found = name_of(agent), []
    for handoff in _iterable(name, getattr(agent, "handoffs", None)):
        if not hasattr(handoff, "on_invoke_handoff"):
            found.append(handoff)
            continue
        refers = getattr(handoff, "_agent_ref", None)  # what `handoff(agent)` of openai-agents keeps
        other = refers() if callable(refers) else None
        if other is None or getattr(handoff, "input_filter", None) or getattr(handoff, "is_enabled", True) is not True:
            whom = getattr(handoff, "agent_name", "another agent")
            raise AgentDefinitionError(
                f"agent {name!r}: a handoff to {whom!r} has functions of its own, which Holdfast cannot express; "
                "put the agent itself into `handoffs`"
            )
        found.append(other)
    return found


def agent_fields(agent: object) -> dict[str, Any]:
    """Returns the arguments of `Agent` for an agent of another library, with its tools themselves, without `handoffs`.

    Raises:
        NotAnAgent: it has no name.
        AgentDefinitionError: it has something that Holdfast cannot express; the message says what.
    """
    name = name_of(agent)
    supported = ("output_type", "handoffs", "mcp_servers")
    fields = _lookalike(name, agent, supported=supported, prompt=_own_prompt(agent))
    servers = _iterable(name, getattr(agent, "mcp_servers", None))
    fields |= {"mcp": found} if (found := [foreign_server(name, server) for server in servers]) else {}
    fields |= {"name": name, "tools": list(_iterable(name, getattr(agent, "tools", None)))}
    if output := getattr(agent, "output_type", None):
        fields["output_type"] = output
    fields |= _model_fields(name, fields["model"])
    described = getattr(agent, "handoff_description", None)
    return ({"description": described} if isinstance(described, str) else {}) | fields


def _model_fields(name: str, model: Any) -> dict[str, Any]:
    """Returns the model and the client of an agent of another library."""
    if model is None or isinstance(model, str | list | tuple):
        return {"model": model}
    named, client = getattr(model, "model", None), getattr(model, "_client", None)
    if type(model).__name__ == CHAT_MODEL and isinstance(named, str) and client is not None:
        return {"model": named, "client": client}
    raise AgentDefinitionError(
        f"agent {name!r}: its model is {_shown(model)}; give its name as text, and a client of its own as "
        "Agent(client=AsyncOpenAI(...)) of Holdfast"
    )


def _converted(name: str, agent: object, *, without_code: bool) -> AgentDefinition:
    if isinstance(agent, type) and issubclass(agent, Agent):
        agent = _instance(agent)
    if isinstance(agent, Agent):
        if not without_code:
            _check_expressible(name, agent)
        agent = agent.spec()
    if isinstance(agent, AgentSpec):
        fields = agent.model_dump(
            exclude={"tools", "agents", "team", "mcp", "version", "output", *(CODE if without_code else ())}
        )
        if agent.output:
            fields |= {"output_schema": agent.output.json_schema, "output_retries": agent.output.retries}
        own = [tool for tool in agent.tools if not is_server_tool(tool)]
        fields["tools"] = [_short(name, tool.activity) for tool in without_agents(own)]
        fields["mcp"] = [each.server for each in agent.mcp]
        fields["agents"] = [asked_name(other) for other in agent.agents]
        fields["approvals"] = {
            tool.name if is_about_agent(tool) else _short(name, tool.activity): "always"
            for tool in own
            if tool.approval == "always"
        } | {tool: "always" for each in agent.mcp for tool in each.approve}
        return _define(name, fields)
    return _define(name, _lookalike(name, agent))


def _check_expressible(name: str, agent: Agent) -> None:
    """Refuses functions: of an agent's own code, only the JSON schema of its answers can be stored."""
    validator = agent.typed_output.validator if agent.typed_output else None
    functions = {
        "a function as system_prompt": agent.prompt,
        "input_guards": agent.input_guards,
        "output_guards": agent.output_guards,
        "output_validator": validator,
        "a client": agent.model_client is not None,
        "wrap_model_call": agent.model_wrappers,
        "wrap_tool_call": agent.tool_wrappers,
    }
    if given := [field for field, found in functions.items() if found]:
        raise AgentDefinitionError(
            f"agent {name!r} has {given[0]}, which a definition cannot express; name its module in HOLDFAST_AGENTS"
        )


def _instance(cls: type[Agent]) -> Agent:
    try:
        return cls()
    except TypeError as error:
        raise AgentDefinitionError(
            f"{cls.__qualname__} cannot be registered as a class: {error}; register an instance of it"
        ) from error


def _define(name: str, fields: Mapping[str, Any]) -> AgentDefinition:
    try:
        return AgentDefinition.model_validate({**fields, "name": name})
    except ValidationError as error:
        first = error.errors()[0]
        where = place_of(first)
        message = f"agent {name!r}: {where}={first['input']!r:.80} is not accepted: {reason_of(first)}"
        raise AgentDefinitionError(message) from error


def _lookalike(
    name: str, agent: object, *, supported: Collection[str] = (), prompt: Callable[..., Any] | None = None
) -> dict[str, Any]:
    unsupported = [field for field in UNSUPPORTED if field not in supported and getattr(agent, field, None)]
    if unsupported:
        advice = SERVERS_ADVICE if "mcp_servers" in unsupported else ""
        raise AgentDefinitionError(
            f"agent {name!r} has {', '.join(unsupported)}, which a definition cannot express: remove them{advice}"
        )
    fields = {field: value for field in PLAIN_FIELDS if (value := getattr(agent, field, None)) is not None}
    return fields | {
        "system_prompt": prompt or _prompt(name, agent),
        "model": getattr(agent, "model", None),
        "model_settings": model_settings(name, agent),
        "tools": [_tool_name(name, tool) for tool in _iterable(name, getattr(agent, "tools", None))],
    }


def _own_prompt(agent: object) -> Callable[..., Any] | None:
    """Returns the function that writes the system prompt of an agent of another library; `None` if it has none."""
    found = (getattr(agent, field, None) for field in PROMPTS)
    given = next((each for each in found if each is not None), None)
    return foreign_prompt(agent, given) if callable(given) else None


def _prompt(name: str, agent: object) -> Any:
    for field in PROMPTS:
        value = getattr(agent, field, None)
        if callable(value):
            raise AgentDefinitionError(
                f"agent {name!r}: {field} is a function, which a definition cannot express: make it text"
            )
        if value is not None:
            return value
    return ""


def _iterable(name: str, tools: Any) -> Iterable[Any]:
    if tools is None or isinstance(tools, list | tuple):
        return tools or ()
    raise AgentDefinitionError(f"agent {name!r}: tools must be a list, not {_shown(tools)}")


def _tool_name(name: str, tool: object) -> str:
    if isinstance(tool, str):
        return tool
    if isinstance(tool, Tool):
        return _short(name, tool.spec.activity)
    known = tool.__name__ if inspect.isroutine(tool) else getattr(tool, "name", None)
    if isinstance(known, str):
        return known
    raise AgentDefinitionError(f"agent {name!r}: {_shown(tool)} is neither a tool nor the name of one")


def _short(name: str, activity: str) -> str:
    if not activity.startswith(TOOL_PREFIX):
        raise AgentDefinitionError(
            f"agent {name!r}: activity {activity!r} is not a tool; activity types of tools begin with 'tool.'"
        )
    return activity.removeprefix(TOOL_PREFIX)


def _shown(thing: object) -> str:
    return f"{type(thing).__name__} {thing!r:.80}"
