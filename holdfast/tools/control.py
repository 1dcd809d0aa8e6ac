"""Tools that a run performs itself, without a worker: to ask a person, to sleep, to wait, and to wake other runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ParamSpec, TypeVar

from pydantic import Field

from holdfast.agents.tool import FunctionTool, ToolError, tool
from holdfast.bounds import MAX_SECONDS

P = ParamSpec("P")
R = TypeVar("R")

Span = Annotated[float, Field(gt=0, le=MAX_SECONDS)]


def _performed_by_run(function: Callable[P, R]) -> FunctionTool[P, R]:
    """Returns a tool whose calls the workflow performs; the function only describes it."""
    made = tool(function)
    made.spec = made.spec.model_copy(update={"operation": made.spec.name})
    return made


def _not_here(name: str) -> ToolError:
    return ToolError(f"{name} is performed by the run itself, so it works only when an agent calls it")


@_performed_by_run
def ask_human(question: str, options: list[str] | None = None) -> str:
    """Ask a person, and wait for the answer, however long that takes.

    Args:
        question: What you want to know, understandable without the conversation.
        options: The answers that are accepted; any text if there are none.
    """
    raise _not_here("ask_human")


@_performed_by_run
def sleep(seconds: Span | None = None, until: str | None = None) -> str:
    """Wait for a time. Pass exactly one of the arguments.

    Args:
        seconds: How long to wait.
        until: A time such as 2026-12-24T18:00:00+01:00; without an offset it is in UTC.
    """
    raise _not_here("sleep")


@_performed_by_run
def wait_for_message(seconds: Span | None = None) -> str:
    """Wait until a person sends you a message, which you then read.

    Args:
        seconds: How long to wait at most; without a limit if omitted.
    """
    raise _not_here("wait_for_message")


@_performed_by_run
def wait_for_event(name: str, seconds: Span | None = None) -> str:
    """Wait until an event of this name is emitted, and return its data. Each call returns the next one.

    Args:
        name: The event's name.
        seconds: How long to wait at most; without a limit if omitted.
    """
    raise _not_here("wait_for_event")


@_performed_by_run
def emit(name: str, data: Any = None) -> str:
    """Emit an event, which wakes every run that waits for this name.

    Args:
        name: The event's name.
        data: What the runs that wait for it are told.
    """
    raise _not_here("emit")
