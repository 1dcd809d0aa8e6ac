"""The agent that the benchmark runs; the worker is given this module in HOLDFAST_AGENTS."""

import asyncio

from holdfast import Agent, tool

RESULT_BYTES = 2048  # a page of text, such as tools often return
NAP = 0.1  # seconds

_PAGE = "A turn writes as much to history as the turn before it, however long the run has become by then. " * 22


def page(key: str) -> str:
    """A text of RESULT_BYTES that differs from key to key."""
    return f"{key}: {_PAGE}"[:RESULT_BYTES]


@tool(read_only=True)
async def lookup(key: str) -> str:
    """Looks a page up.

    Args:
        key: what to look up.
    """
    return page(key)


@tool(read_only=True)
async def nap(key: str) -> str:
    """Takes the time that a quick call to another service takes.

    Args:
        key: what to dream of.
    """
    await asyncio.sleep(NAP)
    return key


bench = Agent(
    name="bench",
    system_prompt="You look pages up until you are told that it is enough.",
    tools=[lookup, nap],
    max_turns=10_000,
)
