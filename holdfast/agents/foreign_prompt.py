"""Instructions of agents of other libraries that a function writes, as functions of a system prompt here."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from holdfast.agents.foreign_tools import of_library
from holdfast.agents.user_functions import RunContext

OF_OPENAI_AGENTS = 2
"""Parameters of such a function there: what the run was started with, and the agent."""


def foreign_prompt(agent: object, function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns the function that writes the system prompt as a function of another library does.

    Args:
        agent: the agent of the other library, which its function is told.
        function: `(context, agent)` as in openai-agents, where `context.context` is what the run was started with as
            `context={...}`. Any other one is returned as it is.
    """
    if len(inspect.signature(function).parameters) != OF_OPENAI_AGENTS:
        return function
    theirs = of_library(agent, "run_context", "RunContextWrapper")

    @functools.wraps(function)
    def written(context: RunContext) -> Any:
        return function(theirs(context=dict(context.context)), agent)

    del written.__wrapped__
    if not inspect.iscoroutinefunction(function):
        return written

    @functools.wraps(function)
    async def written_async(context: RunContext) -> Any:
        return await written(context)

    del written_async.__wrapped__
    return written_async
