"""An agent with a tool, in one file."""

import asyncio

from holdfast import Agent, tool

STOCK = {"rope": 12, "anchor": 3}


@tool(read_only=True)
async def stock(article: str) -> int:
    """Returns how many pieces of an article are in stock.

    Args:
        article: name of the article, in the singular.
    """
    return STOCK.get(article, 0)


clerk = Agent(name="quickstart clerk", system_prompt="You answer questions about the stock.", tools=[stock])


async def main() -> None:
    """Asks the agent and prints its answer."""
    result = await clerk.run('How many pieces of "rope" are in stock?')
    print(result.content)


if __name__ == "__main__":
    asyncio.run(main())
