"""An answer that is an object of a class."""

import asyncio
from typing import Literal

from pydantic import BaseModel, Field

from holdfast import Agent


class Ticket(BaseModel):
    """A request of a customer."""

    subject: str
    urgency: Literal["low", "high"]
    pieces: int = Field(ge=1)


clerk = Agent(name="structured clerk", system_prompt="You turn requests into tickets.", output_type=Ticket)


async def main() -> None:
    """Prints the fields of a ticket."""
    result = await clerk.run('Please send 12 "ropes", urgency: high')
    ticket = result.output
    print(f"{ticket.pieces} × {ticket.subject}, {ticket.urgency}")


if __name__ == "__main__":
    asyncio.run(main())
