"""Handoffs: calls by which an agent hands the run to another one. Decided by pure functions.

A handoff takes effect with the result of its call, which is recorded last of its turn: so every call is answered before
another agent acts.
"""

from __future__ import annotations

from collections.abc import Sequence

from holdfast import names
from holdfast.types import AgentSpec, ToolCall, ToolResult, ToolSpec

MAX_HANDOFFS = 10
"""Of a run; of a session, for each answer. Agents that only pass a question on would do so for ever."""
ONLY_ONE = "not done: only the first transfer of a turn counts, which is to {agent!r}"
TOO_MANY = (
    f"not done: there were {MAX_HANDOFFS} transfers between agents already, which is the limit; answer by yourself"
)


def order_of_calls(calls: Sequence[ToolCall], spec: AgentSpec) -> list[int]:
    """Returns the places of the calls of a turn in the order in which they are made: the first handoff is the last."""
    tools = {tool.name for tool in spec.tools if tool.operation == names.HAND_OFF}
    handoffs = [place for place, call in enumerate(calls) if call.name in tools]
    others = [place for place, call in enumerate(calls) if call.name not in tools]
    return [*others, *handoffs[1:], *handoffs[:1]]


def handed_off(tool: ToolSpec, spec: AgentSpec, done: int) -> ToolResult:
    """Returns the result of a handoff, which makes the other agent act.

    Args:
        tool: the tool that was called.
        spec: the agent that the run began with.
        done: number of handoffs before it.
    """
    if done >= MAX_HANDOFFS:
        return ToolResult(error=TOO_MANY)
    agent = tool.agent or ""
    name = spec.acting(agent).name
    return ToolResult(content=f"The conversation was transferred to the agent {name!r}.", handoff=agent)
