"""A program whose code is partly plain functions and partly coroutines, with one agent for both."""

import asyncio

from holdfast import Agent, tool

STOCK = {"rope": 12, "anchor": 3}


@tool(read_only=True)
def stock(article: str) -> int:
    """Returns how many pieces of an article are in stock; a plain function, which runs in a thread."""
    return STOCK.get(article, 0)


@tool(read_only=True)
async def price(article: str) -> str:
    """Returns the price of an article; a coroutine, which runs in the event loop of the call."""
    await asyncio.sleep(0.1)
    return f"{len(article)} euros"


clerk = Agent(name="clerk", system_prompt="You answer about the stock.", tools=[stock, price])


def report(article: str) -> str:
    """A plain function, such as a route of Flask or a job of cron: `sync` has the agent's methods, which block."""
    return clerk.sync.run(f'What are the stock and the price of "{article}"?').content


async def reports(*articles: str) -> list[str]:
    """Coroutines await the agent itself, several runs at once."""
    results = await asyncio.gather(
        *(clerk.run(f'What are the stock and the price of "{article}"?') for article in articles)
    )
    return [result.content for result in results]


async def both() -> list[str]:
    """A coroutine calls plain code in a thread, so that the event loop continues; `sync` refuses to block the loop."""
    plain, concurrent = await asyncio.gather(asyncio.to_thread(report, "rope"), reports("anchor"))
    return [plain, *concurrent]


def main() -> None:
    """Plain code first, then an event loop, then plain code again."""
    print(report("rope"))
    for text in asyncio.run(both()):
        print(text)
    print(report("anchor"))


if __name__ == "__main__":
    main()
