"""A person decides before money moves."""

import asyncio
from pathlib import Path

from holdfast import Agent, tool

BOOK = Path("payments.txt")


def is_large(amount: int) -> bool:
    """Whether a person must approve a payment."""
    return amount > 100


@tool(approval=is_large)
def pay(receiver: str, amount: int) -> str:
    """Pays an amount, in whole dollars."""
    with BOOK.open("a") as book:
        book.write(f"{receiver} {amount}\n")
    return f"paid {amount} to {receiver}"


cashier = Agent(name="cashier", system_prompt="You pay what you are asked to pay.", tools=[pay])


async def main() -> None:
    """Starts a payment and waits until someone has decided."""
    run = await cashier.start('Pay 500 to "Meyer": receiver Meyer, amount 500')
    print(f"holdfast inbox shows what waits; holdfast approve {run.id} lets it happen, holdfast deny {run.id} does not")
    print((await run.result()).content)


if __name__ == "__main__":
    asyncio.run(main())
