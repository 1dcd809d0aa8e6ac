"""Tools: functions that agents may call."""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import MethodType
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from pydantic import ValidationError
from pydantic_core import to_jsonable_python

from holdfast.agents.arguments import Arguments, BadArguments
from holdfast.agents.docstring import Docstring
from holdfast.errors import AgentDefinitionError, HoldfastError
from holdfast.names import TOOL_PREFIX
from holdfast.ports.retrieval import TextMemoryProtocol
from holdfast.types import ToolResult, ToolSpec, clean_text

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
S = TypeVar("S")

MAX_ERROR_CHARS = 128 * 1024
"""Longest error that a tool gives back, in characters; how much of a result is too much, the worker decides."""

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")  # what providers of models accept


class ToolError(HoldfastError):
    """What a tool raises to tell the model something in plain words; the message is used verbatim."""


@dataclass(frozen=True)
class ToolContext:
    """What a tool may know of the call; declare a parameter of this type to be given it."""

    run_id: str
    call_id: str
    agent: str
    turn: int
    attempt: int
    """1 for the first."""
    workspace: Path
    """The folder that the run works in; it may not exist yet."""
    memories: TextMemoryProtocol | None = field(default=None, repr=False, compare=False)
    """What agents remember; None: there is no memory here."""

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt at this call, and for no other call."""
        return f"{self.run_id}/{self.turn}/{self.call_id}"


class Tool:
    """A function with what a model and a worker need to know of it; made by `tool`.

    Calling it calls the function. As an attribute of a class it behaves like a method.

    Attributes:
        function: the function, bound to its instance if it is a method of one.
        spec: what the model and the workflow are told.
    """

    __name__: str  # with the rest of what `update_wrapper` takes over from the function

    def __init__(self, function: Callable[..., Any], spec: ToolSpec, arguments: Arguments) -> None:
        functools.update_wrapper(self, function, updated=())
        self.function = function
        self.spec = spec
        self._arguments = arguments

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the function as it is: nothing is validated or converted."""
        return self.function(*args, **kwargs)

    def __get__(self, instance: object, owner: type | None = None) -> Tool:
        return self if instance is None else self.bind(instance)

    def __repr__(self) -> str:
        return f"<Tool {self.spec.name!r}: {self.place}>"

    @property
    def place(self) -> str:
        """Where the function is defined, for people: `module.function (file:line)`."""
        code = inspect.unwrap(self.function).__code__
        name = f"{self.function.__module__}.{self.function.__qualname__}"
        return f"{name} ({code.co_filename}:{code.co_firstlineno})"

    @property
    def needs_instance(self) -> bool:
        """Whether this is a method that is not bound to an instance yet."""
        return self._arguments.takes_self and not inspect.ismethod(self.function)

    def bind(self, instance: object, agent: str | None = None) -> Tool:
        """Gives the tool its instance, if it waits for one.

        Args:
            instance: what the method gets as `self`.
            agent: name of the agent that `instance` is; it becomes part of the activity type.
        """
        if not self.needs_instance:
            return self
        activity = f"{TOOL_PREFIX}{agent}.{self.spec.name}" if agent else self.spec.activity
        spec = self.spec.model_copy(update={"activity": activity})
        return Tool(MethodType(self.function, instance), spec, self._arguments)

    async def call(self, arguments: str, context: ToolContext) -> ToolResult:
        """Makes a call that a model asked for.

        A function that is not async runs in a thread; cancelling does not end such a thread.

        Args:
            arguments: the JSON text as the model wrote it. If it is malformed or does not fit,
                nothing is run and the result's `error` tells the model what is accepted.
            context: given to the parameters that ask for it.

        Raises:
            Exception: whatever the function raises.
        """
        try:
            values = self._arguments.parse(arguments)
        except BadArguments as error:
            return ToolResult(error=_shortened(str(error)))
        values.update(dict.fromkeys(self._arguments.injected, context))
        return _as_result(await self._run(values))

    async def _run(self, values: dict[str, Any]) -> Any:
        try:
            if inspect.iscoroutinefunction(self.function):
                return await self.function(**values)
            returned = await asyncio.to_thread(_without_stop_iteration, self.function, values)
            return await returned if inspect.isawaitable(returned) else returned
        except SystemExit as error:
            raise RuntimeError(f"the tool called sys.exit({error.code!r})") from error  # it must not end the worker


class FunctionTool(Tool, Generic[P, R]):
    """A tool that type checkers let be called as its function only."""

    if TYPE_CHECKING:

        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
            """Calls the function as it is."""

        @overload
        def __get__(self, instance: None, owner: type | None = None) -> FunctionTool[P, R]: ...
        @overload
        def __get__(
            self: FunctionTool[Concatenate[S, Q], R], instance: S, owner: type | None = None
        ) -> FunctionTool[Q, R]: ...
        def __get__(self, instance: object, owner: type | None = None) -> Tool: ...


@overload
def tool(function: Callable[P, R], /) -> FunctionTool[P, R]: ...
@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    read_only: bool = False,
    idempotent: bool = False,
    destructive: bool = False,
    timeout: float = 60.0,
    retries: int = 0,
    approval: bool = False,
    task_queue: str | None = None,
) -> Callable[[Callable[P, R]], FunctionTool[P, R]]: ...
def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    **traits: Any,
) -> Any:
    """Makes a tool of a function or of a method of an Agent subclass; sync or async.

    The model is told the function's docstring: the text before its sections describes the tool,
    the entries of `Args:` describe its arguments. Every parameter needs a type. One of type
    `ToolContext` is filled in and not shown to the model.

    Args:
        function: the function, where the decorator is used without parentheses.
        name: what the model calls it; the function's name if not given.
        description: replaces the docstring's.
        **traits: further fields of `ToolSpec`:
            read_only: it changes nothing.
            idempotent: running it twice with the same arguments does what running it once does.
            destructive: it may destroy something.
            timeout: seconds that one attempt may take; 60 if not given.
            retries: further attempts after an error; only if read-only or idempotent.
            approval: a person must approve each call.
            task_queue: where its worker polls, if not where the run does.

    Raises:
        AgentDefinitionError: the function or the settings cannot make a tool.
    """

    def decorate(function: Callable[..., Any]) -> Tool:
        return _make(function, name, description, traits)

    return decorate if function is None else decorate(function)


def _make(function: Callable[..., Any], name: str | None, description: str | None, traits: dict[str, Any]) -> Tool:
    if isinstance(function, Tool):
        raise AgentDefinitionError(f"tool {function.spec.name!r} is a tool already: decorate the function once")
    if not (inspect.isfunction(function) or inspect.ismethod(function)):
        raise AgentDefinitionError(
            f"{function!r} cannot be a tool: only functions and methods can (put @tool directly above the def)"
        )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise AgentDefinitionError(f"tool {function.__qualname__}: it yields; a tool returns its whole result")
    name = function.__name__ if name is None else name
    if not _NAME.fullmatch(name):
        raise AgentDefinitionError(f"tool name {name!r}: 1 to 64 of the characters a-z, A-Z, 0-9, _ and - are accepted")
    docstring = Docstring.parse(function.__doc__)
    arguments = Arguments(function, docstring, injected=ToolContext)
    try:
        spec = ToolSpec(
            name=name,
            description=docstring.description if description is None else description,
            parameters=arguments.schema,
            activity=f"{TOOL_PREFIX}{name}",
            **traits,
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise AgentDefinitionError(f"tool {name!r}: {first['loc'][0]}: {first['msg']}") from error
    _check(spec)
    return FunctionTool(function, spec, arguments)


def _check(spec: ToolSpec) -> None:
    fault = None
    if spec.model_extra:
        known = ", ".join(sorted(ToolSpec.model_fields.keys() - {"parameters", "activity"}))
        fault = f"{', '.join(spec.model_extra)}: no such option; the options are {known}"
    elif not 0 < spec.timeout < math.inf:
        fault = f"timeout={spec.timeout:g}; a number of seconds above 0 is accepted"
    elif spec.retries < 0:
        fault = f"retries={spec.retries}; 0 or more is accepted"
    elif spec.retries and not spec.repeatable:
        fault = "retries are for tools that are read_only or idempotent; say which it is, or leave retries away"
    elif spec.read_only and spec.destructive:
        fault = "read_only and destructive exclude each other"
    if fault:
        raise AgentDefinitionError(f"tool {spec.name!r}: {fault}")


def _without_stop_iteration(function: Callable[..., Any], values: dict[str, Any]) -> Any:
    try:
        return function(**values)
    except StopIteration as error:
        raise RuntimeError("the tool raised StopIteration") from error  # no future can carry it: the call would hang


def _as_result(returned: Any) -> ToolResult:
    if isinstance(returned, ToolResult):
        return returned.model_copy(
            update={
                "content": clean_text(returned.content),
                "error": None if returned.error is None else _shortened(returned.error),
                "files": [clean_text(file) for file in returned.files],
            }
        )
    if returned is None:
        return ToolResult(content="done")
    if isinstance(returned, str):
        return ToolResult(content=clean_text(returned))
    try:
        text = json.dumps(returned, default=_jsonable, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        return ToolResult(
            error=f"The tool ran, but what it returned cannot be shown: a value of type {type(returned).__name__} "
            f"({error}). Tools return text, JSON values, pydantic models, ToolResult or None."
        )
    return ToolResult(content=clean_text(text))


def _jsonable(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        raise TypeError("bytes are not text; decode them first")
    return to_jsonable_python(value)


def _shortened(text: str) -> str:
    text = clean_text(text)
    left_out = len(text) - MAX_ERROR_CHARS
    return text if left_out <= 0 else f"{text[:MAX_ERROR_CHARS]}\n(cut here: {left_out} more characters were left out)"
