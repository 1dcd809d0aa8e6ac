"""Tools of other libraries as tools of Holdfast: of openai-agents, LangChain and pydantic-ai.

They are recognized by their attributes, so none of these libraries is needed. None of them says that a tool may run
twice, so none of its calls is repeated.
"""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

from pydantic import ValidationError
from typing_extensions import override

from holdfast.agents.arguments import Arguments, BadArguments, without_titles
from holdfast.agents.tool import Tool, ToolContext, ToolError, assembled
from holdfast.errors import AgentDefinitionError
from holdfast.types import clean_text

Call = Callable[[str, dict[str, Any], ToolContext], Any]
"""Calls a tool with the JSON text and the values of its arguments; returns an awaitable."""

_FOR_THE_MODEL = frozenset({"ToolException", "ModelRetry"})
"""Errors of LangChain and pydantic-ai whose message is for the model."""


class ForeignArguments(Arguments):
    """The arguments of a tool whose library knows their JSON schema.

    Args:
        schema: their JSON schema.
        check: raises pydantic's ValidationError for JSON text that does not match.
    """

    def __init__(self, schema: Mapping[str, Any], check: Callable[[str], Any] | None = None) -> None:
        self.schema = without_titles({"type": "object", "properties": {}, **schema})
        self.names = tuple(self.schema["properties"])
        self.injected = ("context",)
        self.takes_self = False
        self._check = check

    @override
    def parse(self, text: str) -> dict[str, Any]:
        text = clean_text(text).strip() or "{}"
        try:
            values = json.loads(text)
            if self._check:
                self._check(text)
        except ValidationError as error:
            raise self.explained(error) from None
        except (ValueError, RecursionError) as error:
            raise BadArguments(f"The arguments are not well-formed JSON ({error}). Pass one JSON object.") from None
        if not isinstance(values, dict):
            raise BadArguments("The arguments must be one JSON object.")
        return {"text": text, "values": values}


def foreign_tool(thing: object) -> Tool | None:
    """Returns the tool for a tool of another library; `None` if it is not one.

    Raises:
        AgentDefinitionError: it has something that Holdfast would not do; the message says what.
    """
    if isinstance(thing, type | Tool) or not isinstance(getattr(thing, "name", None), str):
        return None
    if callable(getattr(thing, "on_invoke_tool", None)) and hasattr(thing, "params_json_schema"):
        return _of_openai_agents(thing)
    if hasattr(getattr(thing, "function_schema", None), "validator"):
        return _of_pydantic_ai(thing)
    if callable(getattr(thing, "ainvoke", None)) and hasattr(thing, "tool_call_schema"):
        return _of_langchain(thing)
    return None


def _of_openai_agents(thing: Any) -> Tool:
    _refuse(
        thing,
        is_enabled=getattr(thing, "is_enabled", True) is not True,
        tool_input_guardrails=bool(getattr(thing, "tool_input_guardrails", None)),
        tool_output_guardrails=bool(getattr(thing, "tool_output_guardrails", None)),
    )

    async def invoke(text: str, _values: dict[str, Any], context: ToolContext) -> Any:
        known = {"tool_name": thing.name, "tool_call_id": context.call_id, "tool_arguments": text}
        theirs = of_library(thing, "tool_context", "ToolContext")
        return _text_of(await thing.on_invoke_tool(theirs(context=dict(context.context), **known), text))

    needed = getattr(thing, "needs_approval", False)
    timeout = getattr(thing, "timeout_seconds", None)
    return _made(thing, invoke, ForeignArguments(thing.params_json_schema), approval=needed, timeout=timeout)


def _of_pydantic_ai(thing: Any) -> Tool:
    _refuse(
        thing,
        prepare=getattr(thing, "prepare", None) is not None,
        args_validator=getattr(thing, "args_validator", None) is not None,
    )
    schema = thing.function_schema

    async def invoke(text: str, _values: dict[str, Any], context: ToolContext) -> Any:
        theirs = None
        if thing.takes_ctx:
            usage = of_library(thing, "usage", "RunUsage")()
            known = {"run_id": context.run_id, "tool_call_id": context.call_id, "tool_name": thing.name}
            of_run = of_library(thing, "_run_context", "RunContext")
            theirs = of_run(deps=dict(context.context), model=None, usage=usage, **known)
        return await schema.call(schema.validator.validate_json(text), theirs)

    arguments = ForeignArguments(schema.json_schema, schema.validator.validate_json)
    needed = getattr(thing, "requires_approval", False)
    return _made(thing, invoke, arguments, approval=needed, timeout=getattr(thing, "timeout", None))


def _of_langchain(thing: Any) -> Tool:
    model = thing.tool_call_schema
    schema = model if isinstance(model, Mapping) else model.model_json_schema()
    expected = getattr(thing.args_schema, "model_fields", {})
    injected = [name for name, field in expected.items() if field.is_required() and name not in schema["properties"]]
    _refuse(thing, return_direct=getattr(thing, "return_direct", False), **dict.fromkeys(injected, True))

    async def invoke(_text: str, values: dict[str, Any], _context: ToolContext) -> Any:
        return await thing.ainvoke(values)

    check = None if isinstance(model, Mapping) else model.model_validate_json
    described = {key: value for key, value in schema.items() if key != "description"}
    return _made(thing, invoke, ForeignArguments(described, check))


def _made(thing: Any, invoke: Call, arguments: ForeignArguments, *, approval: Any = False, timeout: Any = None) -> Tool:
    """Returns a tool that calls a tool of another library."""
    if not isinstance(approval, bool):
        raise AgentDefinitionError(
            f"tool {thing.name!r}: it decides by a function of its library whether a call needs approval; "
            "put @tool(approval=...) of Holdfast above its function instead"
        )

    async def call(text: str, values: dict[str, Any], context: ToolContext) -> Any:
        try:
            return await invoke(text, values, context)
        except Exception as error:
            if type(error).__name__ in _FOR_THE_MODEL:
                raise ToolError(str(error)) from error
            raise

    call.__name__ = call.__qualname__ = thing.name
    if origin := _origin(thing):
        call.__module__, call.__qualname__ = origin.__module__, origin.__qualname__
        vars(call)["__wrapped__"] = origin
    traits: dict[str, Any] = {"approval": "always"} if approval else {}
    if timeout is not None:
        traits["timeout"] = timeout
    return assembled(call, thing.name, str(thing.description or ""), arguments, traits)


def _origin(thing: object) -> Callable[..., Any] | None:
    """Returns the function that a tool was made from, for messages; `None` if the library does not tell."""
    found = (getattr(thing, name, None) for name in ("__wrapped__", "function", "coroutine", "func"))
    return next(filter(inspect.isfunction, found), None)


def _refuse(thing: Any, **unsupported: bool) -> None:
    """Refuses a tool that would do something else here than with its own library."""
    found = [name for name, is_set in unsupported.items() if is_set]
    if found:
        raise AgentDefinitionError(
            f"tool {thing.name!r} has {', '.join(found)}, which only its own library provides: remove it, or put "
            "@tool of Holdfast above its function"
        )


def of_library(thing: object, module: str, name: str) -> Callable[..., Any]:
    """Returns a class of the library that a tool is of; a plain namespace if it is of another one."""
    package = type(thing).__module__.partition(".")[0]
    try:
        found: Callable[..., Any] = getattr(importlib.import_module(f"{package}.{module}"), name)
    except (ImportError, AttributeError):
        return SimpleNamespace
    return found


def _text_of(returned: Any) -> Any:
    """Returns the text of what openai-agents marks as text; anything else as it is."""
    return returned.text if getattr(returned, "type", None) == "text" and hasattr(returned, "text") else returned
