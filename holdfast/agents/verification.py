"""Verification of calls whose worker was lost: a tool's own function says whether such a call took effect."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from holdfast.agents.approvals import choosing
from holdfast.agents.arguments import Arguments
from holdfast.agents.results import as_result
from holdfast.types import ToolResult

Verify = Callable[..., "Happened | bool | Awaitable[Happened | bool | None] | None"]
"""Says whether a call took effect: `Happened(result)` or True, False, or `None` if it does not know."""


@dataclass(frozen=True)
class Happened:
    """Returned by the function `verify` of a tool: the call took effect."""

    result: Any = None
    """What the tool would have returned; the model reads it."""


def verification(tool: str, verify: Any, arguments: Arguments) -> Callable[..., Any]:
    """Returns a function that takes a tool's arguments, asks `verify`, and returns a ToolResult.

    The `outcome` of that is `verified` if the call took effect, `unknown` if it is not known, and `None` if it did not
    take effect.

    Args:
        tool: name of the tool, for messages.
        verify: the user's function, sync or async. It gets those arguments of the tool that it names, the context if
            the tool has it, and `self` if the tool is a method.
        arguments: the arguments of the tool.

    Raises:
        AgentDefinitionError: it is not a function, or names an argument that the tool does not have.
    """
    known = [*arguments.names, *arguments.injected, *(["self"] if arguments.takes_self else [])]
    ask = choosing(f"tool {tool!r}: verify={verify!r:.80}", verify, known, "functions of arguments of the tool")

    def verified(**given: Any) -> Any:
        said = ask(**given)
        return _awaited(said) if inspect.isawaitable(said) else _outcome(said)

    return verified


def bound(verified: Callable[..., Any] | None, instance: object) -> Callable[..., Any] | None:
    """Returns what `verification` returned, for the methods of an instance."""
    return verified and functools.partial(verified, self=instance)


async def _awaited(said: Awaitable[Any]) -> ToolResult:
    return _outcome(await said)


def _outcome(said: Any) -> ToolResult:
    match said:
        case Happened():
            return as_result(said.result).model_copy(update={"outcome": "verified"})
        case True:
            return ToolResult(content="done", outcome="verified")
        case False:
            return ToolResult()
        case None:
            return ToolResult(outcome="unknown")
    raise TypeError(f"verify returned {said!r:.80}; it must return Happened(result), True, False or None")
