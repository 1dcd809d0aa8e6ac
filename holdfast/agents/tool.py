"""Tools: functions that agents may call."""

from __future__ import annotations

import asyncio
import functools
import inspect
import re
from collections.abc import Awaitable, Callable
from types import MethodType
from typing import TYPE_CHECKING, Any, Concatenate, Generic, Literal, ParamSpec, TypeVar, overload

from pydantic import ValidationError

from holdfast.agents.approvals import CONDITION_TIMEOUT, checked_condition
from holdfast.agents.arguments import Arguments, BadArguments
from holdfast.agents.docstring import Docstring
from holdfast.agents.files import returned_images
from holdfast.agents.results import as_result, shortened_error
from holdfast.agents.tool_context import ToolContext as ToolContext  # noqa: PLC0414 - exported
from holdfast.agents.verification import Verify, bound, verification
from holdfast.errors import AgentDefinitionError, HoldfastError
from holdfast.names import TOOL_PREFIX
from holdfast.option_names import TOOL, unknown_options
from holdfast.rejection import reason_of
from holdfast.types import ToolResult, ToolSpec

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
S = TypeVar("S")

_SET_HERE = {
    "agent",
    "parameters",
    "activity",
    "operation",
    "claims",
    "verifies",
}  # fields of ToolSpec that are not options
SHIPPED = "holdfast.tools."
"""Begins the modules whose tools each worker has."""

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")  # what providers of models accept


class ToolError(HoldfastError):
    """Raised by a tool to report an error to the model, which reads the message verbatim."""


class CallLost(HoldfastError):
    """Raised by a tool whose call was lost with what performs it, so that it may have taken effect; as in a crash."""


class CallNotHeld(HoldfastError):
    """Raised by a tool for an answer to a question of a call that another process keeps open, or that is gone."""


class Tool:
    """A function with its specification for the model and the worker; created by `tool`.

    Calling it calls the function. As an attribute of a class it behaves like a method.

    Attributes:
        function: the function, bound to its instance if it is a method.
        spec: the specification for the model and the workflow.
    """

    __name__: str  # set by `update_wrapper`, as are the function's other attributes

    def __init__(
        self,
        function: Callable[..., Any],
        spec: ToolSpec,
        arguments: Arguments,
        condition: Callable[..., Any] | None = None,
        verify: Callable[..., Any] | None = None,
    ) -> None:
        functools.update_wrapper(self, function, updated=())
        self.function = function
        self.spec = spec
        self._arguments = arguments
        self._condition = condition
        self._verify = verify

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the function directly, without validation or conversion."""
        return self.function(*args, **kwargs)

    def __get__(self, instance: object, owner: type | None = None) -> Tool:
        return self if instance is None else self.bind(instance)

    def __repr__(self) -> str:
        return f"<Tool {self.spec.name!r}: {self.place}>"

    @property
    def place(self) -> str:
        """Where the function is defined: `module.function (file:line)`."""
        code = inspect.unwrap(self.function).__code__
        name = f"{self.function.__module__}.{self.function.__qualname__}"
        return f"{name} ({code.co_filename}:{code.co_firstlineno})"

    @property
    def needs_instance(self) -> bool:
        """Whether this is a method that is not yet bound to an instance."""
        return self._arguments.takes_self and not inspect.ismethod(self.function)

    def bind(self, instance: object, agent: str | None = None) -> Tool:
        """Returns the tool bound to an instance, or unchanged if it needs none.

        Args:
            instance: the method's `self`.
            agent: name of the agent, which becomes part of the activity type.
        """
        if not self.needs_instance:
            return self
        activity = f"{TOOL_PREFIX}{agent}.{self.spec.name}" if agent else self.spec.activity
        spec = self.spec.model_copy(update={"activity": activity})
        verify = bound(self._verify, instance)
        return Tool(MethodType(self.function, instance), spec, self._arguments, self._condition, verify)

    @property
    def is_async(self) -> bool:
        """Whether the function is async; any other one may block."""
        return inspect.iscoroutinefunction(self.function)

    @property
    def is_shipped(self) -> bool:
        """Whether it comes with Holdfast, so that its function does not block for long."""
        return self.function.__module__.startswith(SHIPPED)

    @property
    def knows_context(self) -> bool:
        """Whether the function is given the context of its calls, so that it may use the workspace."""
        return bool(self._arguments.injected)

    def served_as(self, activity: str) -> Tool:
        """Returns the tool under another activity type."""
        spec = self.spec.model_copy(update={"activity": activity})
        return Tool(self.function, spec, self._arguments, self._condition, self._verify)

    @property
    def condition(self) -> Tool | None:
        """The condition on which calls need approval, as a tool that takes the same arguments; `None` means none."""
        if self._condition is None:
            return None
        return Tool(
            self._condition,
            self.spec.model_copy(update={"timeout": CONDITION_TIMEOUT, "concurrency": None}),
            self._arguments,
        )

    @property
    def verifier(self) -> Tool | None:
        """What says whether a call took effect, as a tool that takes the same arguments; see `verification`."""
        if self._verify is None:
            return None
        return Tool(self._verify, self.spec.model_copy(update={"concurrency": None}), self._arguments)

    async def call(self, arguments: str, context: ToolContext) -> ToolResult:
        """Calls the function with a model's arguments and returns the result.

        A function that is not async runs in a thread, which a cancel does not end.

        Args:
            arguments: the JSON text as the model wrote it. If it does not match the function, the function is not
                called, and the result's `error` tells the model what is accepted.
            context: passed to the parameters of this type.

        Raises:
            Exception: any error of the function.
        """
        if self.is_async:
            return await self.finish(self.start(arguments, context), context)
        return await self.finish(await asyncio.to_thread(self.start, arguments, context), context)

    def start(self, arguments: str, context: ToolContext) -> ToolResult | Awaitable[Any]:
        """Calls the function, see `call`; returns its result, or what `finish` must await. It may block."""
        values = self.parsed(arguments)
        if isinstance(values, ToolResult):
            return values
        values.update(dict.fromkeys(self._arguments.injected, context))
        try:
            returned = self.function(**values)
            return returned if inspect.isawaitable(returned) else _result(returned, context)
        except BaseException as error:  # noqa: BLE001 - every one is raised again
            raise _plain_error(error)  # noqa: B904 - it is this error, or has it as its cause

    def parsed(self, arguments: str) -> dict[str, Any] | ToolResult:
        """Returns the values of a model's arguments; a result with an error if they do not match the function."""
        try:
            return self._arguments.parse(arguments)
        except BadArguments as error:
            return ToolResult(error=shortened_error(str(error)))

    async def finish(self, returned: ToolResult | Awaitable[Any], context: ToolContext) -> ToolResult:
        """Awaits what `start` returned, and returns the result."""
        if isinstance(returned, ToolResult):
            return returned
        try:
            value = await returned
            images = returned_images(value)
            return await asyncio.to_thread(_result, value, context) if images else _result(value, context)
        except BaseException as error:  # noqa: BLE001 - every one is raised again
            raise _plain_error(error)  # noqa: B904 - it is this error, or has it as its cause


def _result(returned: Any, context: ToolContext) -> ToolResult:
    """Returns what a function has returned as a result, and records the images in it; reading these blocks."""
    result = as_result(returned, context.workspace)
    if result.error is None and (images := returned_images(returned)):
        context.marks.show(images, context.workspace)
    return result


class FunctionTool(Tool, Generic[P, R]):
    """A tool whose call has the function's signature for type checkers."""

    if TYPE_CHECKING:

        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
            """Calls the function directly."""

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
    approval: Literal["never", "always"] | Callable[..., bool | Awaitable[bool]] = "never",
    on_unknown: Literal["tell", "ask"] = "tell",
    verify: Verify | None = None,
    max_result: int | None = None,
    concurrency: int | None = None,
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
    """Returns a tool for a function, or for a method of an Agent subclass; sync or async.

    The docstring is for the model: the text before its sections describes the tool, and the entries of `Args:` describe
    its arguments. Every parameter needs a type. The worker fills in a parameter of type `ToolContext`, which the model
    does not see.

    Args:
        function: the function, if the decorator is used without parentheses.
        name: the tool's name for the model; by default the function's name.
        description: replaces the description in the docstring.
        **traits: further fields of `ToolSpec`:
            read_only: it changes nothing.
            idempotent: calling it twice with the same arguments has the same effect as calling it once.
            destructive: it may destroy something.
            timeout: maximum seconds of one attempt; 60 by default.
            retries: further attempts after an error; only if read-only or idempotent.
            approval: "always" if a person must approve each call; or a function of those arguments that it names,
                which returns False for a call that needs no approval. If it raises an error, the call needs approval.
            on_unknown: what happens if a worker is lost during a call that must not run twice, so that nobody knows
                whether it took effect: "tell" tells the model, "ask" asks a person.
            verify: a function of those arguments that it names, which says whether such a call took effect. It returns
                `Happened(result)`, False, or `None` if it does not know.
            max_result: most bytes of a result; the rest is kept in a file of the workspace, and the model is told.
            concurrency: most calls at once in one worker; further ones wait, which does not count as their time.
            task_queue: the task queue of its worker, if it differs from the run's.

    Raises:
        AgentDefinitionError: the function or an option is not accepted.
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
    docstring = Docstring.parse(function.__doc__)
    arguments = Arguments(function, docstring, injected=ToolContext)
    name = function.__name__ if name is None else name
    return assembled(function, name, docstring.description if description is None else description, arguments, traits)


def assembled(
    function: Callable[..., Any], name: str, description: str, arguments: Arguments, traits: dict[str, Any]
) -> Tool:
    """Returns the tool that consists of these parts; see `tool`.

    Raises:
        AgentDefinitionError: the name or a trait is not accepted.
    """
    if not _NAME.fullmatch(name):
        raise AgentDefinitionError(f"tool name {name!r}: 1 to 64 of the characters a-z, A-Z, 0-9, _ and - are accepted")
    wanted = traits.get("approval")
    condition = checked_condition(name, wanted, arguments) if callable(wanted) else None
    if condition:
        traits = traits | {"approval": "condition"}
    asked = traits.get("verify")
    verify = None if asked is None else verification(name, asked, arguments)
    if verify:
        traits = traits | {"verifies": True}
    try:
        spec = ToolSpec(
            name=name,
            description=description,
            parameters=arguments.schema,
            activity=f"{TOOL_PREFIX}{name}",
            **{trait: value for trait, value in traits.items() if trait != "verify"},
        )
    except ValidationError as error:
        first = error.errors()[0]
        message = f"tool {name!r}: {first['loc'][0]}={first['input']!r:.80} is not accepted: {reason_of(first)}"
        raise AgentDefinitionError(message) from error
    _check(spec)
    if spec.approval == "condition" and condition is None:
        raise AgentDefinitionError(f'tool {name!r}: approval must be "never", "always" or a function, the condition')
    if not spec.repeatable:
        spec.claims = True
    return FunctionTool(function, spec, arguments, condition, verify)


def _check(spec: ToolSpec) -> None:
    fault = None
    if spec.model_extra:
        known = (ToolSpec.model_fields.keys() | {"verify"}) - _SET_HERE
        raise unknown_options(f"tool {spec.name!r}", spec.model_extra, known, TOOL)
    if spec.retries and not spec.repeatable:
        fault = "retries are for tools that are read_only or idempotent; set one of these, or remove retries"
    elif spec.repeatable and (given := spec.model_fields_set & {"on_unknown", "verifies"}):
        option = "verify" if "verifies" in given else "on_unknown"
        fault = f"{option} is for tools that are neither read_only nor idempotent; others are simply called again"
    elif spec.read_only and spec.destructive:
        fault = "read_only and destructive exclude each other"
    if fault:
        raise AgentDefinitionError(f"tool {spec.name!r}: {fault}")


def _plain_error(error: BaseException) -> BaseException:
    """Returns an error of the tool for what would end the worker, or is lost in a thread or task."""
    match error:
        case SystemExit():
            said = f"the tool called sys.exit({error.code!r})"
        case asyncio.CancelledError() if _is_cancelled():
            return error
        case asyncio.CancelledError():
            said = "the tool raised CancelledError, although the call was not cancelled"
        case Exception() if not isinstance(error, StopIteration):
            return error
        case _:
            said = f"the tool raised {type(error).__name__}" + (f": {error}" if str(error) else "")
    plain = RuntimeError(said)
    plain.__cause__ = error
    return plain


def _is_cancelled() -> bool:
    try:
        task = asyncio.current_task()
    except RuntimeError:  # in a thread without an event loop
        return False
    return task is not None and task.cancelling() > 0
