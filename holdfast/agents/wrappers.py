"""Functions of an agent around its model calls and its tool calls."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from pydantic import JsonValue
from typing_extensions import override

from holdfast.agents.tool import Tool, ToolContext
from holdfast.agents.user_functions import RunContext, UserFunction
from holdfast.errors import AgentDefinitionError
from holdfast.model_reply import ModelReply
from holdfast.types import Message, ToolResult, ToolSpec, Usage

Wrapper = Callable[..., Any]
"""A function of a request and of a function that makes the call; it returns the reply, or the result."""
Request = TypeVar("Request", bound="ModelRequest | ToolRequest")


@dataclass(frozen=True, kw_only=True)
class ModelRequest:
    """A request to the model, as a function `wrap_model_call` receives and changes it."""

    model: str | Sequence[str] | None
    """The model, or several of which the first that is available answers; `None` means the default model."""
    messages: Sequence[Message]
    """The context, oldest first; the first one is the system prompt."""
    tools: Sequence[ToolSpec]
    """The tools that the model may call."""
    settings: Mapping[str, JsonValue]
    """Further fields of the request, such as `temperature`."""
    context: RunContext
    """Of the run."""

    @property
    def system_prompt(self) -> str:
        """The text of the system prompt."""
        return next((message.content for message in self.messages if message.role == "system"), "")

    def replace(self, *, system_prompt: str | None = None, **changes: Any) -> Self:
        """Returns the request with other values; `system_prompt` replaces the text of that message."""
        if system_prompt is not None:
            others = [message for message in changes.get("messages", self.messages) if message.role != "system"]
            changes["messages"] = [Message(seq=0, role="system", content=system_prompt), *others]
        return dataclasses.replace(self, **changes)

    def reply(self, content: str) -> ModelReply:
        """Returns a reply for a wrapper that answers by itself, without the model."""
        return ModelReply(content=content, model="none", finish_reason="stop", usage=Usage(requests=0), seconds=0.0)


@dataclass(frozen=True, kw_only=True)
class ToolRequest:
    """A call of a tool, as a function `wrap_tool_call` receives and changes it."""

    tool: str
    """Name of the tool."""
    arguments: Mapping[str, Any]
    """By the name of the parameter, as the function receives them."""
    context: ToolContext
    """Of the call."""

    def replace(self, *, arguments: Mapping[str, Any]) -> Self:
        """Returns the call with other arguments, which are not validated again."""
        return dataclasses.replace(self, arguments=arguments)


def as_wrappers(agent: str, field: str, given: Any, instance: object) -> tuple[UserFunction, ...]:
    """Checks the functions around the calls of an agent, of which the first is the outermost.

    Args:
        agent: name of the agent, for messages.
        field: where they were given, likewise.
        given: a function, or a list of functions; `None` means none.
        instance: the agent; a function may be a method of its class.

    Raises:
        AgentDefinitionError: one is not a function of a request and a handler, or two have the same name.
    """
    functions = list(given) if isinstance(given, list | tuple) else [] if given is None else [given]
    found = tuple(UserFunction.of(agent, field, each, instance, values=2, takes_context=False) for each in functions)
    if twice := [name for name, number in Counter(each.name for each in found).items() if number > 1]:
        raise AgentDefinitionError(f"agent {agent!r}: two of its {field} are named {twice[0]!r}; rename one of them")
    return found


async def call_through(
    wrappers: Sequence[UserFunction], request: Request, call: Callable[[Request], Awaitable[Any]]
) -> Any:
    """Makes a call through wrappers, and returns what the outermost one returns.

    Args:
        wrappers: the first is the outermost. One that is not async runs in a thread.
        request: the call.
        call: makes it, with what the wrappers have made of the request.

    Raises:
        Exception: whatever a wrapper or the call raises.
    """
    if not wrappers:
        return await call(request)
    wrapper, *others = wrappers

    async def handler(changed: Request) -> Any:
        if not isinstance(changed, type(request)):
            raise TypeError(f"{wrapper.name} passed {changed!r:.80} on; it must pass a {type(request).__name__}")
        return await call_through(others, changed, call)

    if wrapper.is_async:
        returned = await wrapper(request, handler)
    else:
        returned = await _in_thread(wrapper, request, handler)
        if inspect.isawaitable(returned):
            returned = await returned
    if isinstance(request, ModelRequest) and not isinstance(returned, ModelReply):
        raise TypeError(f"{wrapper.name} returned {returned!r:.80}; it must return a ModelReply")
    return returned


async def _in_thread(
    wrapper: UserFunction, request: Request, handler: Callable[[Request], Coroutine[Any, Any, Any]]
) -> Any:
    """Calls a wrapper in a thread; its handler blocks."""
    loop, calls = asyncio.get_running_loop(), list[Any]()

    def blocking(changed: Request) -> Any:
        calls.append(asyncio.run_coroutine_threadsafe(handler(changed), loop))
        return calls[-1].result()

    try:
        return await asyncio.to_thread(wrapper, request, blocking)
    except asyncio.CancelledError:
        for each in calls:
            each.cancel()
        raise


class WrappedTool(Tool):
    """A tool whose calls go through wrappers.

    Args:
        tool: the tool.
        wrappers: see `call_through`.
    """

    def __init__(self, tool: Tool, wrappers: Sequence[UserFunction]) -> None:
        vars(self).update(vars(tool))  # it is that tool, but for `start`
        self._wrappers = wrappers
        self._is_async = tool.is_async

    @property
    @override
    def is_async(self) -> bool:
        return True

    @property
    @override
    def is_shipped(self) -> bool:
        return False  # the wrappers are not

    @override
    def start(self, arguments: str, context: ToolContext) -> ToolResult | Awaitable[Any]:
        values = self.parsed(arguments)
        return values if isinstance(values, ToolResult) else self._through(values, context)

    async def _through(self, values: dict[str, Any], context: ToolContext) -> Any:
        async def call(request: ToolRequest) -> Any:
            given = {**request.arguments, **dict.fromkeys(self._arguments.injected, request.context)}
            if self._is_async:
                return await self.function(**given)
            returned = await asyncio.to_thread(self.function, **given)
            return await returned if inspect.isawaitable(returned) else returned

        request = ToolRequest(tool=self.spec.name, arguments=values, context=context)
        return await call_through(self._wrappers, request, call)
