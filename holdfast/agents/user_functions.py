"""Functions of users that see the texts of a run: guards and validators of answers."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from holdfast.errors import AgentDefinitionError

MAX_PARAMETERS = 2


@dataclass(frozen=True)
class RunContext:
    """What a guard, or a validator of answers, may know of the run; one with a second parameter receives it."""

    run_id: str
    agent: str
    turn: int
    """Number of model calls so far."""


@dataclass(frozen=True)
class UserFunction:
    """A function that takes a text or a value, and maybe a `RunContext`."""

    name: str
    function: Callable[..., Any]
    takes_context: bool

    @classmethod
    def of(cls, agent: str, field: str, function: Any, instance: object | None = None) -> UserFunction:
        """Checks a function.

        Args:
            agent: name of the agent, for messages.
            field: where the function was given, for messages.
            function: the function; may be async.
            instance: the agent, if the function may be a method of its class.

        Raises:
            AgentDefinitionError: it cannot be called with one value, or one value and a context.
        """
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
        if keywords or len(needed) > MAX_PARAMETERS or not (positional or takes_any):
            raise AgentDefinitionError(f"{where} must take one value, or a value and a RunContext")
        return cls(_name(function), function, takes_context=len(positional) >= MAX_PARAMETERS)

    @property
    def is_async(self) -> bool:
        """Whether it is a coroutine function; any other one may block."""
        return inspect.iscoroutinefunction(_plain(self.function))

    def __call__(self, value: Any, context: RunContext) -> Any:
        """Calls the function; what it returns may have to be awaited."""
        return self.function(value, context) if self.takes_context else self.function(value)


def _plain(function: Any) -> Any:
    while isinstance(function, partial):
        function = function.func
    return function if inspect.isroutine(function) else getattr(function, "__call__", function)  # noqa: B004


def _name(function: Any) -> str:
    plain = function.func if isinstance(function, partial) else function
    return str(getattr(plain, "__name__", None) or type(plain).__name__)
