"""Agents as developers define them."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from pydantic import JsonValue, ValidationError

from holdfast.agents import services
from holdfast.agents.approvals import tightened
from holdfast.agents.asking import tools_for
from holdfast.agents.client import client_host
from holdfast.agents.code_place import code_queue, defining_file, remember
from holdfast.agents.definition_checks import (
    as_tools,
    check_approvals,
    check_budget,
    check_memory_path,
    check_name,
    check_unique,
    memory_tools,
)
from holdfast.agents.guards import Guard, as_guards
from holdfast.agents.lifespan import enter_once
from holdfast.agents.mcp_server import MCPServer, checked_servers, server_of
from holdfast.agents.output import Output
from holdfast.agents.system_prompt import as_prompt
from holdfast.agents.team import checked_handoffs, defining, members, team_of
from holdfast.agents.tool import Tool
from holdfast.agents.user_functions import UserFunction
from holdfast.agents.wrappers import Wrapper, as_wrappers
from holdfast.answers import OUTPUT_RETRIES, GuardedText
from holdfast.approval import ALL, Required
from holdfast.budgets import Budget
from holdfast.errors import AgentDefinitionError, UsageError
from holdfast.option_names import AGENT, explains_options
from holdfast.ports.retrieval import SHARED_NAMESPACE, MemoryMatch, agent_namespace
from holdfast.rejection import place_of, reason_of
from holdfast.server_tools import ServerTools
from holdfast.types import AgentSpec


class _Unset(enum.Enum):
    UNSET = "unset"


UNSET = _Unset.UNSET  # distinguishes an omitted argument from None, where None has a meaning of its own


class Agent:
    """An agent's definition: its instructions, model, tools and limits.

    Create an instance:

        greeter = Agent(name="greeter", system_prompt="Greet people.", tools=[look_up])

    or a subclass, whose class attributes are the definition and whose `@tool` methods are tools:

        class Greeter(Agent):
            system_prompt = "Greet people."
            tools = [look_up]

            @tool(read_only=True)
            def weather(self, city: str) -> str: ...

    Attributes:
        code_queue: task queue of the processes that serve the agent's code when they run it.
        name: the name that runs and people use; a subclass without one is named after the class.
        description: what the agent does, for people and for the agents that may ask it.
        system_prompt: the first message to the model; or a function, or a method of the class, that returns it. Such a
            function takes nothing or a `RunContext`, and is called once, when a run begins.
        model: the model, or several of which the first that is available answers; `None` means the worker's default
            model.
        tools: the functions that the model may call, and tools of openai-agents, LangChain and pydantic-ai. On an
            instance it is a tuple of `Tool`: first these, then the methods in the order of their definition, inherited
            ones first.
        agents: agents that it may ask, each by a tool `ask_<name>`: instances of Agent, names of agents with or without
            a version (`NAME@3`), or specifications. Each question is a run of its own.
        handoffs: agents to which it may hand off, each by a tool `transfer_to_<name>`, after which the run continues as
            that agent: instances of Agent, and names of agents of the same file, of the workers and of the registry,
            with or without a version. Agents that hand off to each other name one of the two.
        mcp: MCP servers whose tools it may call, as `<server>__<tool>`.
        max_turns: maximum number of model calls of a run.
        timeout: maximum seconds of a run; `None` means the worker's AGENT_EXECUTION_TIMEOUT.
        budget: what a run and its children may use; `None` means no limit.
        model_settings: further fields of the request to the model, such as `temperature`.
        context_window: the most tokens that the model accepts, if Holdfast does not know it; at 80% of it, the context
            is compacted.
        approvals: "always" by the name of each tool whose calls a person must approve, although the tool itself does
            not require it; "all" stands for every tool that has effects outside of the run.
        output_type: the type of its answers: a pydantic model, a dataclass, whatever else pydantic validates, or a JSON
            schema; `None` means text.
        output_retries: times that the model may repair an answer that is not valid; then the run fails.
        output_validator: called with each valid answer, and with a `RunContext` if it has a second parameter. It raises
            ToolError or ValueError to have the answer repaired, and may return another answer.
        input_guards: called with each message of a person before the model is. They return `None`, `Block(reason)`, or
            the text that replaces the message.
        output_guards: called with each answer before it is given, likewise.
        client: of the package openai, `AsyncOpenAI` or `OpenAI`: the agent's model calls are made with it, where its
            code is, instead of with the worker's models.
        wrap_model_call: a function around each model call, or several, the outermost first; or a method of the class.
            It is called with a `ModelRequest` and a handler that takes one, and returns the handler's reply or another.
        wrap_tool_call: likewise around each tool call, with a `ToolRequest`; it returns the result.
        memory_path: name of a folder of its own below AGENT_MEMORY_ROOT, whose files last over all of its runs. The
            model uses them with `memory_list`, `memory_read`, `memory_write`, `memory_edit` and `memory_delete`.
        typed_output: the type of its answers, as workers use it; made from `output_type`.
        guards: the guards of each kind, likewise.
        prompt: the function of `system_prompt`, likewise; `None` means that it is text.
        model_client: `client`, likewise, whatever code of the class makes of that attribute later.
        model_wrappers: the functions of `wrap_model_call`, likewise.
        tool_wrappers: those of `wrap_tool_call`, likewise.
    """

    name: str = ""
    description: str = ""
    system_prompt: str | Callable[..., Any] = ""
    model: str | list[str] | tuple[str, ...] | None = None
    tools: Sequence[Any] = ()
    agents: Sequence[Agent | AgentSpec | str] = ()
    handoffs: Sequence[Agent | AgentSpec | str] = ()
    mcp: Sequence[MCPServer] = ()
    max_turns: int = 50
    timeout: float | None = None
    budget: Budget | Mapping[str, Any] | None = None
    model_settings: Mapping[str, Any] = MappingProxyType({})
    context_window: int | None = None
    approvals: Mapping[str, Required] = MappingProxyType({})
    output_type: Any = None
    output_retries: int = OUTPUT_RETRIES
    output_validator: Callable[..., Any] | None = None
    input_guards: Sequence[Guard] = ()
    output_guards: Sequence[Guard] = ()
    client: Any = None
    wrap_model_call: Wrapper | Sequence[Wrapper] | None = None
    wrap_tool_call: Wrapper | Sequence[Wrapper] | None = None
    memory_path: str | None = None
    typed_output: Output | None = None
    guards: Mapping[GuardedText, tuple[UserFunction, ...]] = MappingProxyType({})
    prompt: UserFunction | None = None
    model_client: Any = None
    model_wrappers: tuple[UserFunction, ...] = ()
    tool_wrappers: tuple[UserFunction, ...] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Names the agents of a subclass after the class, unless it sets a name."""
        super().__init_subclass__(**kwargs)
        enter_once(cls)
        if "name" not in vars(cls):
            cls.name = cls.__name__

    @explains_options(AGENT)
    def __init__(
        self,
        *,
        name: str | None = None,
        description: str | None = None,
        system_prompt: str | Callable[..., Any] | None = None,
        model: str | list[str] | tuple[str, ...] | _Unset | None = UNSET,
        tools: Sequence[Any] | None = None,
        agents: Sequence[Agent | AgentSpec | str] | None = None,
        handoffs: Sequence[Agent | AgentSpec | str] | None = None,
        mcp: Sequence[MCPServer] | None = None,
        max_turns: int | None = None,
        timeout: float | _Unset | None = UNSET,
        budget: Budget | Mapping[str, Any] | _Unset | None = UNSET,
        model_settings: Mapping[str, Any] | None = None,
        context_window: int | _Unset | None = UNSET,
        approvals: Mapping[str, Required] | None = None,
        output_type: Any = UNSET,
        output_retries: int | None = None,
        output_validator: Callable[..., Any] | None = None,
        input_guards: Sequence[Guard] | None = None,
        output_guards: Sequence[Guard] | None = None,
        client: Any = None,
        wrap_model_call: Wrapper | Sequence[Wrapper] | None = None,
        wrap_tool_call: Wrapper | Sequence[Wrapper] | None = None,
        memory_path: str | None = None,
    ) -> None:
        """Defines an agent; omitted values are taken from the class.

        Raises:
            AgentDefinitionError: the definition is not valid; the message says why.
        """
        self.name = check_name(type(self).name if name is None else name)
        self.description = type(self).description if description is None else description
        given = inspect.getattr_static(type(self), "system_prompt") if system_prompt is None else system_prompt
        self.prompt = as_prompt(self.name, given, self)
        self.system_prompt = self.prompt.function if self.prompt else given
        _check_class(type(self), self.system_prompt)
        self.model = type(self).model if model is UNSET else model
        self.max_turns = type(self).max_turns if max_turns is None else max_turns
        self.timeout = type(self).timeout if timeout is UNSET else timeout
        self.budget = type(self).budget if budget is UNSET else budget
        settings = type(self).model_settings if model_settings is None else model_settings
        if not isinstance(settings, Mapping):
            raise AgentDefinitionError(f"agent {self.name!r}: model_settings must be a mapping, not {settings!r:.80}")
        self.model_settings = dict(settings)
        self.context_window = type(self).context_window if context_window is UNSET else context_window
        self.approvals = check_approvals(self.name, type(self).approvals if approvals is None else approvals)
        self.memory_path = check_memory_path(self.name, type(self).memory_path if memory_path is None else memory_path)
        functions = tuple(as_tools(self.name, type(self).tools if tools is None else tools))
        of_memory = [tool for tool in memory_tools(self.memory_path) if tool not in functions]
        self.tools = check_unique(self.name, (*functions, *self._bind_methods(), *of_memory))
        self.agents = _check_agents(self.name, type(self).agents if agents is None else agents)
        self.handoffs = checked_handoffs(self.name, type(self).handoffs if handoffs is None else handoffs, Agent)
        self.mcp = checked_servers(self.name, type(self).mcp if mcp is None else mcp)
        self.output_type = type(self).output_type if output_type is UNSET else output_type
        self.output_retries = type(self).output_retries if output_retries is None else output_retries
        self.typed_output = self._typed_output(output_validator)
        self.input_guards = type(self).input_guards if input_guards is None else input_guards
        self.output_guards = type(self).output_guards if output_guards is None else output_guards
        self.guards = {
            "input": as_guards(self.name, "input_guards", self.input_guards),
            "output": as_guards(self.name, "output_guards", self.output_guards),
        }
        self.client = self.model_client = type(self).client if client is None else client
        self.model_wrappers = self._wrappers("wrap_model_call", wrap_model_call)
        self.tool_wrappers = self._wrappers("wrap_tool_call", wrap_tool_call)
        self.code_queue = code_queue(self.name, defining_file(self, inspect.currentframe()))
        self.spec()
        remember(self)

    def spec(self) -> AgentSpec:
        """Returns the definition as data, in the form that a run carries.

        Raises:
            AgentDefinitionError: a value is not accepted.
        """
        with defining(self):
            found = members(self)
            spec = self._own_spec(found)
            if team := team_of(self, found, lambda member: member._own_spec(found)):  # noqa: SLF001 - of this class
                spec.team = team
            return spec

    def _own_spec(self, found: Mapping[str, Agent | AgentSpec]) -> AgentSpec:
        """Returns the definition without its team; `found` are the agents that are known by name."""
        agents = [agent.spec() if isinstance(agent, Agent) else agent for agent in self.agents]
        handoffs = [
            each if isinstance(each, str) else each.name for each in checked_handoffs(self.name, self.handoffs, Agent)
        ]
        described = {name: found[name].description for name in handoffs if name in found}
        extra: dict[str, Any] = {
            "description": self.description,
            "system_prompt_function": self.prompt.name if self.prompt else None,
            "agents": agents,
            "handoffs": handoffs,
            "mcp": [ServerTools(server=server.name, approve=self._approved_of(server)) for server in self.mcp],
            "context_window": self.context_window,
            "output": self.typed_output.spec if self.typed_output else None,
            "input_guards": [guard.name for guard in self.guards["input"]],
            "output_guards": [guard.name for guard in self.guards["output"]],
            "memory_path": self.memory_path,
            "client": client_host(self.name, self.model_client),
            "model_wrappers": [wrapper.name for wrapper in self.model_wrappers],
            "tool_wrappers": [wrapper.name for wrapper in self.tool_wrappers],
        }
        try:
            spec = AgentSpec(
                name=self.name,
                system_prompt="" if self.prompt else self.system_prompt,
                model=list(self.model) if isinstance(self.model, tuple) else self.model,
                model_settings=dict(self.model_settings),
                tools=[*(tool.spec for tool in self.tools), *tools_for(self.name, agents, handoffs, described)],
                max_turns=self.max_turns,
                timeout=self.timeout,
                **{name: value for name, value in extra.items() if value},
            )
        except ValidationError as error:
            first = error.errors()[0]
            where = place_of(first)
            message = f"agent {self.name!r}: {where}={first['input']!r:.80} is not accepted: {reason_of(first)}"
            raise AgentDefinitionError(message) from error
        if self.budget is not None:
            spec.budget = check_budget(self.name, self.budget)
        return self.with_approvals(spec)

    def with_approvals(self, spec: AgentSpec) -> AgentSpec:
        """Returns this agent's definition with the approvals that it requires.

        Raises:
            AgentDefinitionError: it requires one for a tool that it does not have.
        """
        own = [name for name in self.approvals if not any(server_of(name) == server.name for server in self.mcp)]
        try:
            return spec.model_copy(update={"tools": tightened(spec.tools, own, f"agent {self.name!r}")})
        except UsageError as error:
            raise AgentDefinitionError(str(error)) from None

    async def add_text_memory(self, text: str, *, wait: bool = True, **metadata: JsonValue) -> str:
        """Stores a text in the agent's memory, where its tools and `search_text` find it, and returns its id.

        Args:
            text: not blank, at most 64 KB; the same text with the same metadata is stored once.
            wait: return when the text is found by its meaning too, if an embedding model is configured and answers;
                `False` leaves that to a worker, which is faster for many texts.
            metadata: JSON values by name, which are returned with the text.

        Raises:
            UsageError: the text or the metadata is not accepted.
            StoreUnavailable: it could not be stored; the call can be repeated safely.
        """
        return await services.text_memory().add(agent_namespace(self.name), text, metadata, wait=wait)

    async def search_text(self, query: str, top_k: int = 5) -> list[MemoryMatch]:
        """Searches the memories of the agent and those that all agents share, by words and by meaning; best first.

        Args:
            query: words or a sentence.
            top_k: maximum number of memories, 1 to 100.

        Raises:
            UsageError: the query is blank, or `top_k` is out of range.
            StoreUnavailable: the memories cannot be read.
        """
        return await services.text_memory().search(
            query, top_k, namespaces=[agent_namespace(self.name), SHARED_NAMESPACE]
        )

    def __repr__(self) -> str:
        tools = ", ".join(tool.spec.name for tool in self.tools)
        return f"<{type(self).__name__} {self.name!r} model={self.model!r} tools=[{tools}]>"

    def _approved_of(self, server: MCPServer) -> list[str]:
        """Returns the tools of a server whose calls need approval; which ones it has is known when a run starts."""
        return [name for name in self.approvals if name == ALL or server_of(name) == server.name]

    def _typed_output(self, validator: Callable[..., Any] | None) -> Output | None:
        """Returns the type of its answers; `None` means text that nobody validates."""
        given = inspect.getattr_static(type(self), "output_validator") if validator is None else validator
        checks = UserFunction.of(self.name, "output_validator", given, self) if given is not None else None
        wanted = str if self.output_type is None else self.output_type
        if wanted is str and checks is None:
            return None
        return Output(self.name, wanted, retries=self.output_retries, validator=checks)

    def _wrappers(self, field: str, given: Any) -> tuple[UserFunction, ...]:
        given = inspect.getattr_static(type(self), field) if given is None else given
        return as_wrappers(self.name, field, given, self)

    def _bind_methods(self) -> Iterator[Tool]:
        """Binds the tools among the class's attributes, so that `self.method` is the bound tool."""
        cls = type(self)
        for name in dict.fromkeys(name for base in reversed(cls.__mro__) for name in vars(base)):
            attribute = inspect.getattr_static(cls, name)
            if isinstance(attribute, Tool):
                _check_method_name(cls, name)
                vars(self)[name] = bound = attribute.bind(self, self.name)
                yield bound
            elif isinstance(attribute, staticmethod | classmethod) and isinstance(attribute.__func__, Tool):
                raise AgentDefinitionError(
                    f"{cls.__name__}.{name}: a tool cannot be a {type(attribute).__name__}; "
                    "make it a method, or a function named in tools=[...]"
                )
            elif inspect.isfunction(attribute) and any(isinstance(vars(base).get(name), Tool) for base in cls.__mro__):
                raise AgentDefinitionError(
                    f"{cls.__name__}.{name} replaces an inherited tool without being one: put @tool above it"
                )


def _check_class(cls: type[Agent], system_prompt: object) -> None:
    """Refuses a class whose prompt has the name that other libraries give it, as its agents would have none."""
    if not system_prompt and isinstance(getattr(cls, "instructions", None), str):
        raise AgentDefinitionError(f"{cls.__name__}.instructions: `instructions` is called `system_prompt` here")


def _check_agents(agent: str, asked: Sequence[Agent | AgentSpec | str]) -> tuple[Agent | AgentSpec | str, ...]:
    if not isinstance(asked, list | tuple):
        raise AgentDefinitionError(f"agent {agent!r}: agents must be a list of agents, not {asked!r:.80}")
    for other in asked:
        if not isinstance(other, Agent | AgentSpec | str) or not other:
            raise AgentDefinitionError(
                f"agent {agent!r}: {other!r:.80} cannot be asked; agents=[...] takes instances of Agent and names"
            )
    return tuple(asked)


def _check_method_name(cls: type[Agent], name: str) -> None:
    if name in vars(Agent):
        raise AgentDefinitionError(
            f"{cls.__name__}.{name}: Agent has an attribute of this name; "
            f"rename the method and name the tool with @tool(name={name!r})"
        )
