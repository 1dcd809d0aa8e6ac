"""Checks of the values that an agent is defined with; what is not accepted is an AgentDefinitionError."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from holdfast.agents.foreign_tools import foreign_tool
from holdfast.agents.tool import Tool, tool
from holdfast.approval import Required
from holdfast.budgets import Budget, checked_budget
from holdfast.errors import AgentDefinitionError, NotAnAgent
from holdfast.rejection import place_of, reason_of

_MEMORY_PATH = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,63}")


def check_name(name: str) -> str:
    """Returns the name of an agent if it is accepted."""
    if not isinstance(name, str):
        raise NotAnAgent(f"the name of an agent must be text, not {name!r:.80}")
    if not name:
        raise AgentDefinitionError("an agent needs a name: Agent(name=...)")
    if not _NAME.fullmatch(name):
        raise AgentDefinitionError(
            f"agent name {name!r}: 1 to 64 letters, digits, spaces, '_', '.' and '-' are accepted, "
            "the first one a letter or a digit"
        )
    return name


def check_memory_path(agent: str, path: str | None) -> str | None:
    """Returns the memory path of an agent if it is accepted."""
    if path is not None and not (isinstance(path, str) and _MEMORY_PATH.fullmatch(path)):
        raise AgentDefinitionError(
            f"agent {agent!r}: memory_path={path!r:.80} is not accepted: it is the name of one folder below "
            "AGENT_MEMORY_ROOT, 1 to 64 letters, digits, '_', '.' and '-', the first one a letter or a digit"
        )
    return path


def memory_tools(path: str | None) -> Sequence[Tool]:
    """Returns the tools of an agent for its memory folder; `None` means that it has none."""
    if path is None:
        return ()
    from holdfast.tools.memory_files import MEMORY_TOOLS  # noqa: PLC0415 - other tools take half a second to load

    return MEMORY_TOOLS


def check_budget(name: str, budget: Budget | Mapping[str, Any]) -> Budget:
    """Returns the budget of an agent."""
    try:
        return checked_budget(budget)
    except ValidationError as error:
        first = error.errors()[0]
        where = place_of(first, below="budget")
        reason = f"{where}={first['input']!r:.80} is not accepted: {reason_of(first)}"
    except ValueError as error:
        reason = f"budget: {error}"
    raise AgentDefinitionError(f"agent {name!r}: {reason}")


def check_approvals(agent: str, approvals: Mapping[str, Required]) -> dict[str, Required]:
    """Returns the approvals that an agent requires."""
    if not isinstance(approvals, Mapping):
        raise AgentDefinitionError(f"agent {agent!r}: approvals must be a mapping, not {approvals!r:.80}")
    for name, wanted in approvals.items():
        if wanted != "always":
            raise AgentDefinitionError(
                f"agent {agent!r}: approvals[{name!r}]={wanted!r:.80} is not accepted: an agent can only require more "
                'than its tools do, with "always"'
            )
    return dict(approvals)


def as_tools(agent: str, functions: Sequence[Any]) -> Iterator[Tool]:
    """Yields the tools for functions and for tools of other libraries."""
    if not isinstance(functions, list | tuple):
        raise AgentDefinitionError(f"agent {agent!r}: tools must be a list of functions, not {functions!r}")
    for function in functions:
        made = function if isinstance(function, Tool) else foreign_tool(function)
        if made is None and not callable(function):
            raise AgentDefinitionError(
                f"agent {agent!r}: {function!r:.80} cannot be a tool; only functions and methods can, and tools of "
                "openai-agents, LangChain and pydantic-ai"
            )
        made = made or tool(function)
        if made.needs_instance:
            raise AgentDefinitionError(f"agent {agent!r}: {made.place} is a method; pass it from an instance")
        yield made


def check_unique(agent: str, tools: tuple[Tool, ...]) -> tuple[Tool, ...]:
    """Returns tools, no two of which have the same name."""
    known: dict[str, Tool] = {}
    for candidate in tools:
        other = known.setdefault(candidate.spec.name, candidate)
        if other is not candidate:
            raise AgentDefinitionError(
                f"agent {agent!r} has two tools named {candidate.spec.name!r}: {other.place} and {candidate.place}"
            )
    return tools
