"""Agents that hold something open: a worker enters each once, and leaves it at its end."""

from __future__ import annotations

import asyncio
from typing import Any, Self

from holdfast import Agent, tool
from holdfast.scripted.chat import ChatRequest
from holdfast.testing import ChatToolCall, Reply
from tests.support.lab import Lab


class Database(Agent):
    """Notes when it is entered and left, and in which task."""

    name = "database"

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, Any]] = []
        self.faults: list[Exception] = []

    async def __aenter__(self) -> Self:
        """Opens the pool."""
        if self.faults:
            raise self.faults.pop()
        self.seen.append(("enter", asyncio.current_task()))
        return self

    async def __aexit__(self, *error: object) -> None:
        """Closes the pool."""
        self.seen.append(("exit", asyncio.current_task()))

    @tool(read_only=True)
    async def query(self, key: str) -> str:
        """Looks a key up."""
        self.seen.append(("query", key))
        return f"value of {key}"


def two_queries(request: ChatRequest) -> Reply:
    """Asks twice at once, then answers with the last result."""
    last = request.messages[-1]
    if last["role"] == "tool":
        return Reply(str(last["content"]))
    return Reply(tool_calls=[ChatToolCall("query", {"key": "a"}), ChatToolCall("query", {"key": "b"})])


async def test_lifespan_once_same_task(lab: Lab) -> None:
    """Concurrent calls of two runs share what the agent opened; one task opens and closes it."""
    agent = Database()
    lab.server.respond = two_queries
    async with lab.worker(agent):
        results = [await lab.holdfast.run("database", "Look.") for _ in range(2)]
    assert [result.content for result in results] == ["value of b"] * 2
    [first, *queries, last] = agent.seen
    assert (first[0], last[0]) == ("enter", "exit")
    assert [kind for kind, _ in queries] == ["query"] * 4
    assert first[1] is last[1]


async def test_an_agent_that_cannot_be_entered_is_entered_at_the_next_call(lab: Lab) -> None:
    """The model reads why its call was not made."""
    agent = Database()
    agent.faults = [OSError("no route to the database")]
    lab.server.respond = two_queries
    async with lab.worker(agent):
        run = await lab.holdfast.start("database", "Look.")
        await run.result()
        results = sorted([message.content async for message in run.transcript() if message.role == "tool"])
    refused = "error: not called: agent 'database' cannot be entered: OSError: no route to the database"
    assert results[0] == refused
    assert results[1].startswith("value of ")


async def test_a_program_that_has_entered_an_agent_shares_it(lab: Lab) -> None:
    """Entering it again, as the worker would, opens nothing; the last one to leave closes it."""
    agent = Database()
    lab.server.respond = two_queries
    async with agent, agent:
        async with lab.worker(agent):
            await lab.holdfast.run("database", "Look.")
        assert [kind for kind, _ in agent.seen] == ["enter", "query", "query"]
    assert agent.seen[-1][0] == "exit"
