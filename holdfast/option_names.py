"""Keywords of the public functions: what a wrong one is called here.

People bring the words of other libraries: openai-agents, pydantic-ai, LangGraph, CrewAI and others of the field. The
tables name what they mean.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any, TypeVar, cast

from holdfast.errors import UnknownOption

F = TypeVar("F", bound=Callable[..., Any])


def _table(renamed: str, **advice: str) -> dict[str, str]:
    """Returns a table from lines such as `prompt instructions -> system_prompt`, and what needs a sentence."""
    found = dict(advice)
    for line in filter(None, map(str.strip, renamed.splitlines())):
        names, _, here = line.partition(" -> ")
        found |= dict.fromkeys(names.split(), here)
    return found


_SETTINGS = "it is a field of the request: pass `model_settings={...}`"
_DURABLE = "leave it out, as every run is durable"
_AGENTS_OWN = "it belongs to the agent: pass it to `Agent`"

AGENT = _table(
    """
    instructions instruction prompt system system_message state_modifier messages_modifier -> system_prompt
    role goal backstory persona -> system_prompt
    handoff_description -> description
    llm model_name function_calling_llm -> model
    functions toolsets builtin_tools -> tools
    sub_agents managed_agents subagents -> agents
    max_iterations max_iter max_steps max_tool_turns recursion_limit -> max_turns
    max_execution_time timeout_seconds -> timeout
    result_type response_format response_model output_schema output_pydantic -> output_type
    output_validators -> output_validator
    input_guardrails -> input_guards
    output_guardrails guardrail guardrails -> output_guards
    usage_limits -> budget
    interrupt_before interrupt_on -> approvals
    mcp_servers -> mcp
    openai_client async_client http_client -> client
    before_model after_model model_middleware -> wrap_model_call
    tool_middleware -> wrap_tool_call
    """,
    allow_delegation="name the agents that it may ask in `agents=[...]`",
    retries="failed calls are retried by themselves; for answers of the wrong type, pass `output_retries`",
    temperature=_SETTINGS,
    max_tokens=_SETTINGS,
    top_p=_SETTINGS,
    tool_choice=_SETTINGS,
    parallel_tool_calls=_SETTINGS,
    checkpointer=_DURABLE,
    deps_type="pass `context={...}` when you run the agent; tools read it from `ToolContext.context`",
    context_schema="pass `context={...}` when you run the agent; tools read it from `ToolContext.context`",
    memory="give it the tools `remember` and `search_memory` of holdfast.tools",
    store="give it the tools `remember` and `search_memory` of holdfast.tools",
    middleware="pass functions as `wrap_model_call` and `wrap_tool_call`, or `input_guards` and `output_guards`",
    hooks="follow a run with `agent.stream(...)`, or pass functions as `wrap_model_call` and `wrap_tool_call`",
    history_processors="pass a function as `wrap_model_call`, which may change the messages of each request",
    model_provider="pass `client=AsyncOpenAI(...)`, or configure MODEL_PROVIDERS",
    verbose="set LOG_LEVEL=DEBUG",
    max_rpm="set MODEL_CALLS_PER_SECOND, which holds for all workers together",
)
TOOL = _table(
    """
    name_override title -> name
    description_override -> description
    max_retries -> retries
    timeout_seconds -> timeout
    readOnlyHint readonly read_only_hint -> read_only
    idempotentHint idempotent_hint -> idempotent
    destructiveHint destructive_hint -> destructive
    """,
    needs_approval='pass `approval="always"`, or a function of the arguments',
    requires_approval='pass `approval="always"`, or a function of the arguments',
    failure_error_function="raise `ToolError`, whose message the model reads",
    args_schema="leave it out, as the types of the parameters are the schema",
    infer_schema="leave it out, as the types of the parameters are the schema",
    strict_mode="leave it out, as arguments are always validated",
    strict="leave it out, as arguments are always validated",
    parse_docstring="leave it out, as the docstring is always read",
    docstring_format="leave it out, as the style of the docstring is recognized",
    takes_ctx="declare a parameter of type `ToolContext`",
    sequential="pass `concurrency=1`",
)
RUN = _table(
    """
    run_id workflow_id thread_id session_id conversation_id task_id idempotency_key -> id
    max_iterations max_iter max_steps max_tool_turns recursion_limit -> max_turns
    timeout_seconds max_execution_time -> timeout
    deps runtime_context dependencies -> context
    usage_limits -> budget
    metadata labels -> tags
    cwd working_dir working_directory -> workspace
    interrupt_before require_approval approvals -> approve
    prompt user_prompt query question message messages task inputs -> input
    message_history chat_history -> history
    """,
    session="use `session(id, agent)`",
    config="pass `id=` for LangGraph's thread_id, and `max_turns=` for its recursion_limit",
    checkpointer=_DURABLE,
    durability=_DURABLE,
    stream_mode="use `stream(...)`",
    stream="use `stream(...)`",
    tools=_AGENTS_OWN,
    system_prompt=_AGENTS_OWN,
    instructions="it belongs to the agent: pass `system_prompt` to `Agent`",
    client=_AGENTS_OWN,
    middleware="it belongs to the agent: pass `wrap_model_call` and `wrap_tool_call` to `Agent`",
    hooks="it belongs to the agent: pass `wrap_model_call` and `wrap_tool_call` to `Agent`",
    temperature=_SETTINGS,
    max_tokens=_SETTINGS,
    top_p=_SETTINGS,
    tool_choice=_SETTINGS,
    parallel_tool_calls=_SETTINGS,
    output_type=_AGENTS_OWN,
)


def unknown_options(
    function: str, unknown: Iterable[str], known: Iterable[str], table: dict[str, str]
) -> UnknownOption:
    """Returns the error for keywords that a function does not have.

    Args:
        function: its name.
        unknown: the keywords.
        known: those that it has.
        table: what they mean, by the words of others.
    """
    known = sorted(known)
    return UnknownOption(f"{function}: " + "; ".join(_meant(name, known, table) for name in unknown))


def _meant(name: str, known: list[str], table: dict[str, str]) -> str:
    here = table.get(name, "")
    if here in known:
        return f"`{name}` is called `{here}` here"
    if " " in here:
        return f"there is no `{name}`: {here}"
    similar = get_close_matches(name, known, n=1)
    advice = f" (did you mean `{similar[0]}`?)" if similar else ""
    return f"there is no option `{name}`{advice}; the options are {', '.join(known)}"


def explains_options(table: dict[str, str], *typed: type) -> Callable[[F], F]:
    """Returns a decorator for functions and methods whose wrong keywords are answered with the right ones.

    Args:
        table: what they mean, by the words of others.
        typed: the TypedDicts that the function's `**options` consist of.
    """

    def decorate(function: F) -> F:
        parameters = inspect.signature(function).parameters.values()
        plain = {one.name for one in parameters if one.kind in (one.KEYWORD_ONLY, one.POSITIONAL_OR_KEYWORD)}
        known = plain.union(*(kind.__annotations__ for kind in typed)) - {"self"}
        name = function.__qualname__.removesuffix(".__init__")

        def check(options: dict[str, Any]) -> None:
            if not options.keys() <= known:
                raise unknown_options(name, [one for one in options if one not in known], known, table)

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def checked_async(self: Any, *args: Any, **options: Any) -> Any:
                check(options)
                return await function(self, *args, **options)

            return cast("F", checked_async)

        @functools.wraps(function)
        def checked(self: Any, *args: Any, **options: Any) -> Any:
            check(options)
            return function(self, *args, **options)

        return cast("F", checked)

    return decorate
