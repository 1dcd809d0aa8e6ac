"""The agent that the benchmark runs; the worker is given this module in HOLDFAST_AGENTS."""

import asyncio

from holdfast import Agent, tool

RESULT_BYTES = 2048  # a page of text, a typical tool result
NAP = 0.1  # seconds

_PAGE = "A turn writes as much to history as the turn before it, however long the run has become by then. " * 22


def page(key: str) -> str:
    """Returns a text of RESULT_BYTES that differs for each key."""
    return f"{key}: {_PAGE}"[:RESULT_BYTES]


@tool(read_only=True)
async def lookup(key: str) -> str:
    """Looks up a page.

    Args:
        key: key of the page.
    """
    return page(key)


@tool(read_only=True)
async def nap(key: str) -> str:
    """Sleeps for as long as a fast call to another service takes.

    Args:
        key: text to return.
    """
    await asyncio.sleep(NAP)
    return key


PROMPT = "You look pages up until you are told that it is enough."

bench = Agent(
    name="bench",
    system_prompt=PROMPT,
    tools=[lookup, nap],
    max_turns=10_000,
)

endless = Agent(
    name="endless",
    system_prompt=PROMPT,
    tools=[lookup],
    max_turns=1_000_000,
    context_window=32_000,
)
