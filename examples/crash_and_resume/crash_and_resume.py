"""A program that is killed in the middle of its run, and continues it when it is started again."""

import asyncio
import os
import signal
from pathlib import Path

from holdfast import Agent, tool

ORDERS = Path("orders.txt")
STEP = Path("killed-once")


@tool
def order(article: str) -> str:
    """Orders an article."""
    with ORDERS.open("a") as orders:
        orders.write(f"{article}\n")
    return f"ordered {article}"


@tool(read_only=True)
def delivery(article: str) -> str:
    """Returns when an article will be delivered."""
    if not STEP.exists():
        STEP.touch()
        os.kill(os.getpid(), signal.SIGKILL)  # as a power cut would
    return f"{article} comes on Monday"


buyer = Agent(name="buyer", system_prompt="You order, then ask when it comes.", tools=[order, delivery])


async def main() -> None:
    """Asks the same under the same id, however often the program is started."""
    result = await buyer.run('Order "rope", and ask for its delivery.', id="order-of-rope")
    print(result.content)


if __name__ == "__main__":
    asyncio.run(main())
    print(f"orders made: {ORDERS.read_text().split()}")
