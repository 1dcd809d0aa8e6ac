"""Agents that take as many turns as a test needs, and their models."""

from __future__ import annotations

from collections.abc import Callable

from holdfast import Agent, tool
from holdfast.testing import ChatRequest, ChatToolCall, Reply


@tool(read_only=True)
async def count(number: int) -> str:
    """Counts."""
    return f"{number} " + "counted " * 100


counter = Agent(name="counter", system_prompt="You count.", tools=[count], max_turns=100)


def count_to(turns: int) -> Callable[[ChatRequest], Reply]:
    """A model that calls the tool until `turns` are made."""

    def respond(request: ChatRequest) -> Reply:
        made = sum(message["role"] == "assistant" for message in request.messages)
        if made + 1 < turns:
            return Reply(tool_calls=[ChatToolCall("count", {"number": made})])
        return Reply(text=f"counted to {made}")

    return respond


@tool(read_only=True)
async def step(number: int) -> str:
    """Takes a step."""
    return f"step {number}"


walker = Agent(name="walker", system_prompt="You walk.", tools=[step], max_turns=10_000)


def walk(turns: int) -> Callable[[ChatRequest], Reply]:
    """A model that asks for one step after the other, by what the transcript holds."""

    def respond(request: ChatRequest) -> Reply:
        made = sum(message["role"] == "assistant" for message in request.messages)
        if made + 1 < turns:
            return Reply(tool_calls=[ChatToolCall("step", {"number": made})])
        return Reply(text=f"walked {made} steps")

    return respond
