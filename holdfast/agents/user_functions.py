"""Functions of users that runs call: system prompts, guards and validators of answers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pydantic import JsonValue

from holdfast.answers import AskedOfCode
from holdfast.errors import AgentDefinitionError

_TAKEN = ("nothing, or a RunContext", "one value, or a value and a RunContext", "a request and a handler")


@dataclass(frozen=True)
class RunContext:
    """What a function of an agent may know of the run: it receives this if it has a parameter for it."""

    run_id: str
    agent: str
    turn: int
    """Number of model calls so far."""
    context: Mapping[str, JsonValue] = field(default_factory=dict)
    """What the run was started with as `context={...}`."""


@dataclass(frozen=True)
class UserFunction:
    """A function that takes a text or a value, or nothing, and maybe a `RunContext`."""

    name: str
    function: Callable[..., Any]
    parameters: int
    """Number of values that it is called with."""

    @classmethod
    def of(
        cls,
        agent: str,
        field: str,
        function: Any,
        instance: object | None = None,
        *,
        values: int = 1,
        takes_context: bool = True,
    ) -> UserFunction:
        """Checks a function.

        Args:
            agent: name of the agent, for messages.
            field: where the function was given, for messages.
            function: the function; may be async.
            instance: the agent, if the function may be a method of its class.
            values: number of values before the context: 0 or 1; 2 for what wraps a call.
            takes_context: whether it may have a parameter for the context.

        Raises:
            AgentDefinitionError: it cannot be called with these values, with or without a context.
        """
        function = function.__func__ if isinstance(function, staticmethod) else function
        where = f"agent {agent!r}: {field}={function!r:.80}"
        if not callable(function):
            raise AgentDefinitionError(f"{where} is not a function")
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except (TypeError, ValueError):
            raise AgentDefinitionError(f"{where} has no signature that can be read; wrap it in a function") from None
        if instance is not None and parameters and parameters[0].name == "self":
            function, parameters = partial(function, instance), parameters[1:]
        positional = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
        keywords = [each for each in parameters if each.kind is each.KEYWORD_ONLY and each.default is each.empty]
        takes_any = any(each.kind is each.VAR_POSITIONAL for each in parameters)
        needed = [each for each in positional if each.default is each.empty]
        most = values + takes_context
        if keywords or len(needed) > most or not (len(positional) >= values or takes_any):
            raise AgentDefinitionError(f"{where} must take {_TAKEN[values]}")
        return cls(_name(function), function, parameters=min(max(len(positional), values), most))

    @property
    def is_async(self) -> bool:
        """Whether it is a coroutine function; any other one may block."""
        return inspect.iscoroutinefunction(_plain(self.function))

    def __call__(self, *values: Any) -> Any:
        """Calls the function with its values, of which the context is the last; the result may have to be awaited."""
        return self.function(*values[: self.parameters])


def run_context(asked: AskedOfCode) -> RunContext:
    """Returns what a function is told of the run."""
    return RunContext(asked.run_id, asked.agent, asked.turn, asked.context or {})


def _plain(function: Any) -> Any:
    while isinstance(function, partial):
        function = function.func
    return function if inspect.isroutine(function) else getattr(function, "__call__", function)  # noqa: B004


def _name(function: Any) -> str:
    plain = function.func if isinstance(function, partial) else function
    return str(getattr(plain, "__name__", None) or type(plain).__name__)
