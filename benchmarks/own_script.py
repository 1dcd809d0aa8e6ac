"""A script that runs an agent of its own: `python -m benchmarks.own_script RUN INPUT`."""

from __future__ import annotations

import asyncio
import sys

from benchmarks.agents import PROMPT, page
from holdfast import Agent, tool


@tool(read_only=True)
async def lookup(key: str) -> str:
    """Looks up a page.

    Args:
        key: key of the page.
    """
    return page(key)


script = Agent(name="script", system_prompt=PROMPT, tools=[lookup], max_turns=10_000)

if __name__ == "__main__":
    asyncio.run(script.run(sys.argv[2], id=sys.argv[1]))
